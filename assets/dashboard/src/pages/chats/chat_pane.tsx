import { useEffect, useRef, useState } from "preact/hooks";
import { api, body } from "../../api/client";
import { deviceList } from "../../api/fleet";
import type { ChatFilter, ChatList } from "../../chat/chat_list";
import { type Key, shortTime, t } from "../../i18n";
import { useLoad } from "../../lib/hooks";
import { moveFocus } from "../../lib/list_keys";
import { href, navigate } from "../../lib/router";
import { readableId } from "../../lib/text";
import { Button, Empty, Failure, Field, Loading, Name, ui } from "../../ui/basics";
import { Dialog, Menu } from "../../ui/dialog";
import { VirtualList, type VListHandle } from "../../ui/virtual_list";
import { ChatRow } from "./chat_row";
import { ImportDialog } from "./import_dialog";
import { summary } from "./words";
import css from "./chats.module.css";

const FILTERS: ChatFilter[] = ["all", "unread", "groups", "archived"];
const SEARCH_DELAY_MS = 250;
const LOAD_AHEAD_ROWS = 20;

function FoundMessages({ deviceId, query }: { deviceId: string; query: string }) {
  const { data, error } = useLoad(() => body(api.GET("/api/v1/devices/{id}/messages/search", { params: { path: { id: deviceId }, query: { query, limit: 30 } } })), `${deviceId} ${query}`);
  if (error) return <Failure error={error} />;
  if (!data || data.data.length === 0) return null;
  return (
    <>
      <h2 class={css.section}>{t("chats.messages")}</h2>
      {data.data.map((message) => (
        <a key={message.id} class={css.chat} data-row href={href("devices", deviceId, "chats", message.chatId, message.id)}>
          <span />
          <span class={ui.grow}>
            <span class={css.line}><span class={css.title}><Name>{message.notifyName || readableId(message.chatId)}</Name></span><time class={css.time}>{shortTime(message.timestamp)}</time></span>
            <span class={css.preview}><Name>{summary(message)}</Name></span>
          </span>
        </a>
      ))}
    </>
  );
}

function NewChat({ deviceId, close }: { deviceId: string; close: () => void }) {
  const [phoneNumber, setPhoneNumber] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const open = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const cid = phoneNumber.replace(/[^\d@.a-z-]/g, "");
      const found = await body(api.GET("/api/v1/devices/{id}/contacts/{cid}/exists", { params: { path: { id: deviceId, cid } } }));
      if (!found.data.exists) throw new Error(t("chats.notOnNetwork"));
      close();
      navigate("devices", deviceId, "chats", found.data.contactId);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("chats.new")} onClose={close}>
      <form class={ui.stack} onSubmit={open}>
        <Field label={t("link.phoneNumber")} hint={t("chats.newHint")}>
          {(field) => <input {...field} type="tel" required autoFocus value={phoneNumber} onInput={(event) => setPhoneNumber(event.currentTarget.value)} />}
        </Field>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{t("chats.open")}</Button></div>
      </form>
    </Dialog>
  );
}

/** The list of chats, with the device, filters and search. */
export function ChatPane({ deviceId, list, openChat, maySend }: { deviceId: string; list: ChatList; openChat: string | undefined; maySend: boolean }) {
  const [query, setQuery] = useState("");
  const [filter, setFilter] = useState<ChatFilter>("all");
  const [isNew, setNew] = useState(false);
  const [isImport, setImport] = useState(false);
  const scroller = useRef<VListHandle>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    const timer = setTimeout(() => void list.select(filter, query.trim()), isFirst.current ? 0 : SEARCH_DELAY_MS);
    isFirst.current = false;
    return () => clearTimeout(timer);
  }, [list, filter, query]);
  const chats = list.chats.value;
  const loadAhead = () => {
    const handle = scroller.current;
    if (handle && handle.findItemIndex(handle.scrollOffset + handle.viewportSize) > chats.length - LOAD_AHEAD_ROWS) void list.loadMore();
  };
  return (
    <section class={css.pane} aria-label={t("nav.chats")}>
      {!openChat && <h1 class="visually-hidden">{t("nav.chats")}</h1>}
      <div class={css.paneHead}>
        <div class={ui.row}>
          <select class={`${ui.input} ${ui.grow}`} aria-label={t("chats.device")} value={deviceId} onChange={(event) => navigate("devices", event.currentTarget.value, "chats")}>
            {deviceList.value.map((device) => <option key={device.id} value={device.id}>{device.name}</option>)}
            {deviceList.value.length === 0 && <option value={deviceId}>{deviceId}</option>}
          </select>
          {maySend && <Button icon="plus" onClick={() => setNew(true)}>{t("chats.newShort")}</Button>}
          {maySend && <Menu label={t("chats.more")} items={[{ label: t("import.title"), icon: "file", run: () => setImport(true) }]} />}
        </div>
        <input class={ui.input} type="search" placeholder={t("chats.search")} aria-label={t("chats.search")} value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        <div class={css.filters} role="group" aria-label={t("chats.filter")}>
          {FILTERS.map((name) => <button key={name} type="button" class={css.filter} aria-pressed={name === filter} onClick={() => setFilter(name)}>{t(`chats.filter.${name}` as Key)}</button>)}
        </div>
      </div>
      {list.failure.value ? <div class={ui.cardBody}><Failure error={list.failure.value} retry={() => void list.reload()} /></div> : null}
      {!list.isLoaded.value ? !list.failure.value && <Loading /> : chats.length === 0 && !query ? (
        <Empty icon="chats" title={filter === "all" ? t("chats.emptyTitle") : t("chats.noneFound")}>{filter === "all" ? t("chats.emptyText") : undefined}</Empty>
      ) : query ? (
        <div class={css.scroller} role="list" onKeyDown={moveFocus}>
          {chats.map((chat, at) => <ChatRow key={chat.id} deviceId={deviceId} chat={chat} isOpen={chat.id === openChat} at={at} count={chats.length} />)}
          {query.trim().length > 1 && <FoundMessages deviceId={deviceId} query={query.trim()} />}
        </div>
      ) : (
        <div class={css.scroller} onKeyDown={moveFocus}>
          <VirtualList handle={scroller} role="list" aria-label={t("nav.chats")} itemSize={68} onScroll={loadAhead}>
            {chats.map((chat, at) => <ChatRow key={chat.id} deviceId={deviceId} chat={chat} isOpen={chat.id === openChat} at={at} count={chats.length} />)}
          </VirtualList>
        </div>
      )}
      {isImport && <ImportDialog deviceId={deviceId} close={() => setImport(false)} done={() => void list.reload()} />}
      {isNew && <NewChat deviceId={deviceId} close={() => setNew(false)} />}
    </section>
  );
}
