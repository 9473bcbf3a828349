import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { ApiFailure } from "../api/client";
import { t, tMaybe, tn } from "../i18n";
import { visible } from "../lib/text";
import { Icon, type IconName } from "./icons";
import { Picture } from "./picture";
import css from "./ui.module.css";

export { css as ui };
export type Tone = "good" | "warn" | "bad" | "info" | "";

/** Class names, without the empty ones. */
export const cx = (...names: (string | false | undefined)[]): string => names.filter(Boolean).join(" ");

interface ButtonProps extends Omit<JSX.IntrinsicElements["button"], "size" | "icon"> {
  variant?: "primary" | "danger" | "dangerFill" | "quiet";
  icon?: IconName;
  size?: "small";
  busy?: boolean;
}

export function Button({ variant, icon, size, busy, children, class: extra, disabled, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} class={cx(css.button, variant && css[variant], size && css.small, extra as string)} disabled={disabled || busy} aria-busy={busy}>
      {busy ? <span class={css.spinner} aria-hidden="true" /> : icon && <Icon name={icon} size={size ? 16 : 18} />}
      {children}
    </button>
  );
}

export function LinkButton({ to, variant, icon, size, children }: { to: string; variant?: "primary" | "quiet"; icon?: IconName; size?: "small"; children: ComponentChildren }) {
  return (
    <a href={to} class={cx(css.button, variant && css[variant], size && css.small)}>
      {icon && <Icon name={icon} size={18} />}
      {children}
    </a>
  );
}

export function IconButton({ label, icon, ...rest }: Omit<JSX.IntrinsicElements["button"], "icon"> & { label: string; icon: IconName }) {
  return (
    <button type="button" {...rest} class={cx(css.button, css.icon, rest.class as string)} aria-label={label} title={rest.title ?? label}>
      <Icon name={icon} />
    </button>
  );
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string;
  children: (attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean; class: string }) => ComponentChildren;
}

/** A label, its control, a hint, and the API's sentence about the field. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return (
    <div class={css.field}>
      <label class={css.label} for={id}>{label}</label>
      {children({ id, "aria-describedby": describedBy, "aria-invalid": error ? true : undefined, class: css.input! })}
      {hint && <span id={`${id}-hint`} class={css.hint}>{hint}</span>}
      {error && <span id={`${id}-error`} class={css.fieldError}>{error}</span>}
    </div>
  );
}

export function Checkbox({ label, hint, ...rest }: { label: ComponentChildren; hint?: string; checked: boolean; disabled?: boolean; onChange: () => void }) {
  return (
    <label class={css.check}>
      <input type="checkbox" {...rest} />
      <span>{label}{hint && <span class={css.menuNote}>{hint}</span>}</span>
    </label>
  );
}

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={cx(css.badge, tone && css[tone])}>{children}</span>;
}

export function Notice({ tone, icon, action, children, alert }: { tone: Tone; icon?: IconName; action?: ComponentChildren; children: ComponentChildren; alert?: boolean }) {
  return (
    <div class={cx(css.notice, tone && css[tone])} role={alert ? "alert" : undefined}>
      <Icon name={icon ?? (tone === "bad" || tone === "warn" ? "warning" : "info")} />
      <div class={css.noticeText}>{children}</div>
      {action}
    </div>
  );
}

/** A sentence for people, from a refusal of the API. */
export function failureText(error: unknown): string {
  if (!(error instanceof ApiFailure)) return error instanceof Error ? error.message : String(error);
  return tMaybe(`failure.${error.code}`) ?? error.message;
}

/** The seconds until the refused request may be repeated; then it is. */
function useRetryAfter(error: ApiFailure | undefined, retry: (() => void) | undefined): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const due = error && retry ? Date.now() + error.retryAfterMs : 0;
    const update = () => setLeft(Math.max(0, Math.ceil((due - Date.now()) / 1000)));
    update();
    if (!error?.retryAfterMs || !retry) return undefined;
    const ticking = setInterval(update, 1000);
    const trying = setTimeout(retry, error.retryAfterMs);
    return () => {
      clearInterval(ticking);
      clearTimeout(trying);
    };
  }, [error]);
  return left;
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const known = error instanceof ApiFailure ? error : undefined;
  const left = useRetryAfter(known, retry);
  return (
    <Notice tone="bad" alert action={retry && <Button size="small" icon="refresh" onClick={retry}>{t("action.retry")}</Button>}>
      <span>{failureText(error)}</span>
      {left > 0 && <span class={css.noticeMeta}>{tn("failure.nextTry", left)}</span>}
      {known?.details.map((detail) => <span key={detail.field} class={css.noticeMeta}>{detail.message}</span>)}
      {known && known.status > 0 && (
        <span class={css.noticeMeta}>{known.code}{known.requestId && ` · ${t("failure.request", { id: known.requestId })}`}</span>
      )}
    </Notice>
  );
}

export function Loading() {
  return <div class={css.loading} role="status"><span class={css.spinner} aria-hidden="true" />{t("state.loading")}</div>;
}

export function Empty({ icon, title, children, action }: { icon: IconName; title: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class={css.empty}>
      <span class={css.emptyIcon}><Icon name={icon} size={26} /></span>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action && <div class={css.emptyAction}>{action}</div>}
    </div>
  );
}

/** A name or text of other people: isolated from the direction of its surroundings, control characters visible. */
export function Name({ children }: { children: string }) {
  return <bdi>{visible(children)}</bdi>;
}

function initials(name: string): string {
  const words = name.replace(/[^\p{L}\p{N} ]/gu, " ").trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase() || "?";
}

export function Avatar({ name, id, small, group, picture }: { name: string; id: string; small?: boolean; group?: boolean; picture?: string }) {
  let hash = 0;
  for (const char of id) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return (
    <span class={cx(css.avatar, small && css.avatarSmall, css[`tint${hash % 8}`])} aria-hidden="true">
      {/^[+\d ]+$/.test(name) ? <Icon name={group ? "group" : "person"} size={small ? 16 : 22} /> : initials(name)}
      {picture && <Picture url={picture} />}
    </span>
  );
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  // Browsers have no clipboard on plain http beyond localhost.
  if (!navigator.clipboard) return null;
  return <Button size="small" icon={isCopied ? "check" : "copy"} onClick={copy}>{isCopied ? t("action.copied") : (label ?? t("action.copy"))}</Button>;
}

/** A value that is shown once. */
export function Secret({ value }: { value: string }) {
  return <div class={css.secret}><code>{value}</code><CopyButton text={value} /></div>;
}

interface PageProps {
  title: ComponentChildren;
  subtitle?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Page({ title, subtitle, actions, children }: PageProps) {
  return (
    <div class={css.page}>
      <header class={css.pageHead}>
        <div class={css.pageTitle}><h1>{title}</h1>{subtitle && <p>{subtitle}</p>}</div>
        {actions && <div class={css.row}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Card({ title, actions, children, flush }: { title?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; flush?: boolean }) {
  return (
    <section class={css.card}>
      {title && <div class={css.cardHead}><h2>{title}</h2>{actions}</div>}
      {flush ? children : <div class={css.cardBody}>{children}</div>}
    </section>
  );
}
