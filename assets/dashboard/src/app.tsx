import { useSignalEffect } from "@preact/signals";
import { type ComponentType, lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { followFleet } from "./api/fleet";
import { allows, isFullAdmin, isOutdated, loadSession, type Scope, session, sessionFailure, signOut } from "./api/session";
import { type Key, t } from "./i18n";
import { href, route } from "./lib/router";
import { setTheme, theme } from "./lib/theme";
import { Devices } from "./pages/devices/list";
import { SignIn, SignInAgain, Unreachable } from "./pages/sign_in";
import { Button, Empty, IconButton, Loading, Name, ui } from "./ui/basics";
import { attempt, Confirmation, Dialog, Menu, Toasts } from "./ui/dialog";
import { ErrorBoundary } from "./ui/error_boundary";
import { Icon, type IconName } from "./ui/icons";
import css from "./shell.module.css";
import icon from "./styles/icon.svg";

const SESSION_CHECK_MS = 60_000;

interface PageEntry {
  id: string;
  icon: IconName;
  scope: Scope;
  /** Needs `admin` of all devices. */
  isFull?: boolean;
  view: ComponentType;
}

const ENTRIES: PageEntry[] = [
  { id: "overview", icon: "overview", scope: "devices:read", view: lazy(() => import("./pages/overview").then((page) => page.Overview)) },
  { id: "devices", icon: "devices", scope: "devices:read", view: Devices },
  { id: "chats", icon: "chats", scope: "messages:read", view: lazy(() => import("./pages/chats/page").then((page) => page.Chats)) },
  { id: "queue", icon: "queue", scope: "devices:read", view: lazy(() => import("./pages/queue").then((page) => page.Queue)) },
  { id: "webhooks", icon: "webhooks", scope: "devices:read", view: lazy(() => import("./pages/webhooks").then((page) => page.Webhooks)) },
  { id: "notifications", icon: "notifications", scope: "events:read", view: lazy(() => import("./pages/notifications").then((page) => page.Notifications)) },
  { id: "events", icon: "events", scope: "events:read", view: lazy(() => import("./pages/events").then((page) => page.Events)) },
  { id: "keys", icon: "keys", scope: "admin", view: lazy(() => import("./pages/keys").then((page) => page.Keys)) },
  { id: "settings", icon: "settings", scope: "admin", isFull: true, view: lazy(() => import("./pages/settings").then((page) => page.Settings)) },
];
const Conversation = ENTRIES.find((entry) => entry.id === "chats")!.view;
const LinkPage = lazy(() => import("./pages/devices/link").then((page) => page.LinkPage));
const NewDevice = lazy(() => import("./pages/devices/create").then((page) => page.NewDevice));
const DevicePage = lazy(() => import("./pages/devices/device").then((page) => page.DevicePage));

const isVisible = (entry: PageEntry) => allows(entry.scope) && (!entry.isFull || isFullAdmin());

function view(parts: string[]): { id: string; scope: Scope; view: ComponentType } | undefined {
  const [first, second, third] = parts;
  if (!first) return ENTRIES.find(isVisible);
  if (first === "devices" && second === "new" && !third) return { id: "devices", scope: "devices:write", view: NewDevice };
  if (first === "devices" && third === "chats") return { id: "chats", scope: "messages:read", view: Conversation };
  if (first === "devices" && third === "link") return { id: "devices", scope: "devices:read", view: LinkPage };
  if (first === "devices" && second) return { id: "devices", scope: "devices:read", view: DevicePage };
  return ENTRIES.find((entry) => entry.id === first);
}

function Navigation({ current, isOpen, close }: { current?: string; isOpen: boolean; close: () => void }) {
  const known = session.value!;
  return (
    <nav class={css.side} data-open={isOpen} aria-label={t("nav.label")} onKeyDown={(event) => event.key === "Escape" && close()}>
      <div class={css.brand}>
        <img src={icon} alt="" /><span class={ui.grow}>Wharf</span>
        {isOpen && <IconButton label={t("action.close")} icon="close" onClick={close} />}
      </div>
      <div class={css.nav}>
        {ENTRIES.filter(isVisible).map((entry) => (
          <a key={entry.id} class={css.link} href={href(entry.id)} aria-current={entry.id === current ? "page" : undefined} onClick={close}>
            <Icon name={entry.icon} /><span>{t(`nav.${entry.id}` as Key)}</span>
          </a>
        ))}
      </div>
      <div class={css.foot}>
        <div class={css.who}>
          <div class={css.whoText}><strong><Name>{known.key.name || known.key.id}</Name></strong><br /><span class={ui.muted}>{t("nav.version", { version: known.server.version })}</span></div>
          <Menu label={t("nav.account")} icon="more" items={[
            { label: t("theme.system"), icon: theme.value === "system" ? "check" : "sun", run: () => setTheme("system") },
            { label: t("theme.light"), icon: theme.value === "light" ? "check" : "sun", run: () => setTheme("light") },
            { label: t("theme.dark"), icon: theme.value === "dark" ? "check" : "sun", run: () => setTheme("dark") },
            { label: t("nav.signOut"), icon: "signOut", run: () => void attempt(signOut) },
          ]} />
        </div>
      </div>
    </nav>
  );
}

function Keys({ close }: { close: () => void }) {
  return (
    <Dialog title={t("keyboard.title")} onClose={close}>
      <dl class={css.keys}>
        <dt><kbd>/</kbd></dt><dd>{t("keyboard.search")}</dd>
        <dt><kbd>↑</kbd> <kbd>↓</kbd></dt><dd>{t("keyboard.arrows")}</dd>
        <dt><kbd>Enter</kbd></dt><dd>{t("keyboard.enter")}</dd>
        <dt><kbd>Shift</kbd>+<kbd>Enter</kbd></dt><dd>{t("keyboard.newLine")}</dd>
        <dt><kbd>Esc</kbd></dt><dd>{t("keyboard.escape")}</dd>
        <dt><kbd>?</kbd></dt><dd>{t("keyboard.help")}</dd>
      </dl>
    </Dialog>
  );
}

/** `?` lists the keys and `/` searches, outside of text fields. */
function useShortcuts(showKeys: () => void) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") showKeys();
      if (event.key === "/") {
        const search = document.querySelector<HTMLElement>("main input[type=search]");
        if (search) event.preventDefault();
        search?.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function Shell() {
  const [isOpen, setOpen] = useState(false);
  const [hasKeys, setKeys] = useState(false);
  useShortcuts(() => setKeys(true));
  const parts = route.value;
  const entry = view(parts);
  const Content = entry?.view;
  const title = entry ? t(`nav.${entry.id}` as Key) : "Wharf";
  useEffect(() => {
    document.title = title === "Wharf" ? title : `${title} · Wharf`;
  }, [title]);
  const isConversation = entry?.id === "chats" && parts[0] === "devices" && Boolean(parts[3]);
  return (
    <div class={css.shell}>
      <a class={css.skip} href={`#/${parts.map(encodeURIComponent).join("/")}`} onClick={() => document.querySelector("main")?.focus()}>{t("nav.skip")}</a>
      <header class={css.top}>
        <IconButton label={t("nav.open")} icon="menu" onClick={() => setOpen(true)} /><span>{title}</span>
      </header>
      <Navigation current={entry?.id} isOpen={isOpen} close={() => setOpen(false)} />
      <main class={css.main} data-full={isConversation} tabIndex={-1}>
        {isOutdated.value && (
          <div class={css.bars}><div class={css.bar} role="status"><span>{t("outdated.text")}</span><Button size="small" onClick={() => location.reload()}>{t("action.reload")}</Button></div></div>
        )}
        <ErrorBoundary name={entry?.id ?? "none"} route={parts.join("/")} key={parts.slice(0, 2).join("/")}>
          {!entry || !Content ? (
            <Empty icon="search" title={t("notFound.title")} action={<a href="#/">{t("notFound.home")}</a>}>{t("notFound.text")}</Empty>
          ) : !allows(entry.scope) ? (
            <Empty icon="keys" title={t("noScope.title")}>{t("noScope.text", { scope: entry.scope })}</Empty>
          ) : (
            <Suspense fallback={<Loading />}><Content /></Suspense>
          )}
        </ErrorBoundary>
      </main>
      {hasKeys && <Keys close={() => setKeys(false)} />}
    </div>
  );
}

export function App() {
  useSignalEffect(() => {
    if (session.value) followFleet();
  });
  useEffect(() => {
    const timer = setInterval(() => session.value && document.visibilityState === "visible" && void loadSession(), SESSION_CHECK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      {session.value ? <Shell /> : session.value === null ? <SignIn /> : sessionFailure.value ? <Unreachable /> : <Loading />}
      <SignInAgain />
      <Confirmation />
      <Toasts />
    </>
  );
}
