import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { Button, cx, failureText, IconButton, Notice, ui } from "./basics";
import { Icon, type IconName } from "./icons";

interface DialogProps {
  title: ComponentChildren;
  onClose?: () => void;
  /** Keys inside of the dialog; they do not reach the page. */
  onKey?: (event: KeyboardEvent) => void;
  children: ComponentChildren;
  class?: string;
}

/** A modal dialog. The browser keeps the focus in it and returns it. Without `onClose` it cannot be dismissed. */
export function Dialog({ title, onClose, onKey, children, class: extra }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const returnTo = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => returnTo?.focus?.();
  }, []);
  return (
    <dialog
      ref={ref}
      class={cx(ui.dialog, extra)}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onKeyDown={(event) => {
        event.stopPropagation();
        onKey?.(event);
      }}
    >
      <div class={ui.dialogHead}>
        <h2 id={id}>{title}</h2>
        {onClose && <IconButton label={t("action.close")} icon="close" onClick={onClose} />}
      </div>
      <div class={ui.dialogBody}>{children}</div>
    </dialog>
  );
}

interface Question {
  title: string;
  text: ComponentChildren;
  action: string;
  isDangerous?: boolean;
  run: () => Promise<unknown>;
}
const question = signal<Question | null>(null);

/** Asks before an action that cannot be undone, and shows its refusal in place. */
export function confirmThen(next: Question): void {
  question.value = next;
}

export function Confirmation() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const asked = question.value;
  if (!asked) return null;
  const close = () => {
    setError(null);
    question.value = null;
  };
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await asked.run();
      close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={asked.title} onClose={close}>
      <p>{asked.text}</p>
      {error !== null && <Notice tone="bad" alert>{failureText(error)}</Notice>}
      <div class={ui.actions}>
        <Button onClick={close}>{t("action.cancel")}</Button>
        <Button variant={asked.isDangerous ? "dangerFill" : "primary"} busy={isBusy} onClick={run}>{asked.action}</Button>
      </div>
    </Dialog>
  );
}

interface Toast {
  id: number;
  text: string;
  isBad: boolean;
}
const toasts = signal<Toast[]>([]);
const MAX_TOASTS = 3;
let lastToast = 0;

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function toast(text: string, isBad = false): void {
  lastToast += 1;
  const id = lastToast;
  toasts.value = [...toasts.value, { id, text, isBad }].slice(-MAX_TOASTS);
  setTimeout(() => dismiss(id), isBad ? 10_000 : 5000);
}

/** Runs an action; a refusal becomes a message. True if it succeeded. */
export async function attempt(run: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await run();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(failureText(error), true);
    return false;
  }
}

export function Toasts() {
  return (
    <div class={ui.toasts} role="status" aria-live="polite">
      {toasts.value.map((item) => (
        <div key={item.id} class={cx(ui.toast, item.isBad && ui.toastBad)}>
          <span class={ui.grow}>{item.text}</span>
          <IconButton label={t("action.dismiss")} icon="close" onClick={() => dismiss(item.id)} />
        </div>
      ))}
    </div>
  );
}

export interface MenuItem {
  label: string;
  icon?: IconName;
  isDangerous?: boolean;
  /** Why it cannot be used. */
  refusal?: string;
  run: () => void;
}

/** A button with a list of actions, as a native popover. */
export function Menu({ label, icon = "more", items, class: extra }: { label: string; icon?: IconName; items: MenuItem[]; class?: string }) {
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLElement | null>(null);
  // The items are rendered once it is open; only then its height is known.
  useLayoutEffect(() => {
    const box = list.current;
    if (!box || !isOpen || !opener.current) return;
    const at = opener.current.getBoundingClientRect();
    const fits = at.bottom + box.offsetHeight < innerHeight;
    const left = Math.min(Math.max(8, at.right - box.offsetWidth), innerWidth - box.offsetWidth - 8);
    box.style.top = `${Math.max(8, fits ? at.bottom + 4 : at.top - box.offsetHeight - 4)}px`;
    box.style.left = `${left}px`;
    box.querySelector<HTMLElement>("[role=menuitem]:not(:disabled)")?.focus();
  }, [isOpen]);
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step || !list.current) return;
    event.preventDefault();
    event.stopPropagation();
    const all = [...list.current.querySelectorAll<HTMLElement>("[role=menuitem]:not(:disabled)")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    all[(at + step + all.length) % all.length]?.focus();
  };
  if (items.length === 0) return null;
  return (
    <>
      <IconButton label={label} icon={icon} class={extra} aria-haspopup="menu" aria-expanded={isOpen} aria-controls={id} onClick={(event) => { opener.current = event.currentTarget; list.current?.showPopover(); }} />
      <div ref={list} id={id} popover="auto" role="menu" aria-label={label} class={ui.menu} onKeyDown={move} onToggle={(event) => setOpen((event as ToggleEvent).newState === "open")}>
        {isOpen && items.map((item) => (
          <button key={item.label} type="button" role="menuitem" class={cx(ui.menuItem, item.isDangerous && ui.danger)} disabled={Boolean(item.refusal)}
            onClick={() => {
              list.current?.hidePopover();
              item.run();
            }}>
            {item.icon && <Icon name={item.icon} size={18} />}
            <span>{item.label}{item.refusal && <span class={ui.menuNote}>{item.refusal}</span>}</span>
          </button>
        ))}
      </div>
    </>
  );
}
