import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Chat, ChatList } from "../../chat/chat_list";
import { api, data } from "../../api/client";
import { type Device } from "../../api/fleet";
import { allows, capability } from "../../api/session";
import { Conversation } from "../../chat/conversation";
import { Inbox } from "../../chat/inbox";
import { draft, keepDraft } from "../../chat/drafts";
import type { DeviceFeed } from "../../chat/feed";
import type { Message } from "../../chat/message_store";
import { moment, t } from "../../i18n";
import { basePath } from "../../lib/base";
import { useLoad, usePolling } from "../../lib/hooks";
import { href, navigate, redirect } from "../../lib/router";
import { readableId } from "../../lib/text";
import { Avatar, Button, Checkbox, cx, Empty, Failure, Loading, Name, ui } from "../../ui/basics";
import { attempt, confirmThen, Dialog, Menu, type MenuItem, toast } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { chatName } from "./chat_row";
import { acceptFiles, Composer, type ComposerMode } from "./composer";
import { GroupDialog } from "./group_dialog";
import { InboxBar } from "./inbox_bar";
import { Lightbox } from "./lightbox";
import { MessageList } from "./message_list";
import type { MessageActions } from "./message_view";
import { ackName, maySend, pictureUrl } from "./words";
import css from "./chats.module.css";

const POLL_MS = 4000;
const READ_KEY = "wharf.readMarks";
const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const FLASH_MS = 1500;

const sendsReadMarks = (): boolean => {
  try {
    return localStorage.getItem(READ_KEY) !== "off";
  } catch {
    return true;
  }
};

function useConversation(device: Device, chatId: string, feed: DeviceFeed): Conversation {
  const ownId = device.phoneNumber ? `${device.phoneNumber.replace(/\D/g, "")}@c.us` : undefined;
  const conversation = useMemo(() => new Conversation(device.id, chatId, ownId), [device.id, chatId, ownId]);
  useEffect(() => {
    void conversation.load();
    return feed.subscribe({ onEvent: (event) => conversation.apply(event), onReload: () => void conversation.load() });
  }, [conversation, feed]);
  usePolling(() => {
    if (!feed.isConnected.value) void conversation.load();
  }, POLL_MS);
  return conversation;
}

/** The workflow of the inbox that the chat belongs to; its notes are loaded as far back as the messages. */
function useInbox(device: Device, chatId: string, conversation: Conversation): Inbox {
  const inbox = useMemo(() => new Inbox(device.id, chatId), [device.id, chatId]);
  useEffect(() => inbox.follow(), [inbox]);
  const oldest = conversation.messages.value[0]?.timestamp;
  const lines = inbox.lines.value;
  useEffect(() => {
    if (oldest !== undefined) void inbox.loadSince(oldest);
  }, [inbox, oldest, lines.length]);
  return inbox;
}

function chatItems(deviceId: string, chat: Chat, list: ChatList): MenuItem[] {
  const path = { params: { path: { id: deviceId, chatId: chat.id } } };
  const change = (call: Promise<Chat>) => attempt(async () => list.put(await call));
  const items: MenuItem[] = [];
  if (maySend()) {
    items.push(chat.pinned
      ? { label: t("chat.unpin"), icon: "pin", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/unpin", path))) }
      : { label: t("chat.pin"), icon: "pin", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/pin", { ...path, body: {} }))) });
    items.push(chat.muted
      ? { label: t("chat.unmute"), icon: "notifications", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/unmute", path))) }
      : { label: t("chat.mute"), icon: "muted", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/mute", { ...path, body: {} }))) });
    items.push(chat.archived
      ? { label: t("chat.unarchive"), icon: "file", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/unarchive", path))) }
      : { label: t("chat.archive"), icon: "file", run: () => void change(data(api.POST("/api/v1/devices/{id}/chats/{chatId}/archive", path))) });
    items.push({
      label: sendsReadMarks() ? t("chat.readMarksOff") : t("chat.readMarksOn"), icon: "check",
      run: () => {
        localStorage.setItem(READ_KEY, sendsReadMarks() ? "off" : "on");
        toast(sendsReadMarks() ? t("chat.readMarksAreOn") : t("chat.readMarksAreOff"));
      },
    });
  }
  items.push({
    label: t("chat.export"), icon: "download",
    run: () => {
      const link = document.createElement("a");
      link.href = `${basePath}/api/v1/devices/${encodeURIComponent(deviceId)}/chats/${encodeURIComponent(chat.id)}/export?format=text`;
      link.download = "";
      link.click();
    },
  });
  if (maySend()) {
    const { id } = chat;
    items.push({ label: t("chat.clear"), icon: "trash", isDangerous: true, run: () => confirmThen({ title: t("chat.clear"), text: t("chat.clearText"), action: t("chat.clear"), isDangerous: true, run: () => data(api.POST("/api/v1/devices/{id}/chats/{chatId}/clear", { ...path, body: {} })) }) });
    items.push({
      label: t("chat.delete"), icon: "trash", isDangerous: true,
      run: () => confirmThen({
        title: t("chat.delete"), text: t("chat.deleteText"), action: t("chat.delete"), isDangerous: true,
        run: async () => {
          await data(api.DELETE("/api/v1/devices/{id}/chats/{chatId}", path));
          list.drop(id);
          navigate("devices", deviceId, "chats");
        },
      }),
    });
  }
  return items;
}

function QuickReactions({ message, conversation, close }: { message: Message; conversation: Conversation; close: () => void }) {
  const choose = (emoji: string) => {
    close();
    void attempt(() => conversation.react(message, emoji));
  };
  const own = message.reactions.find((reaction) => reaction.fromMe);
  return (
    <Dialog title={t("message.react")} onClose={close}>
      <div class={css.quick}>{QUICK.map((emoji) => <button key={emoji} type="button" aria-label={emoji} onClick={() => choose(emoji)}>{emoji}</button>)}</div>
      {own && <div class={ui.actions}><Button onClick={() => choose("")}>{t("message.removeReaction", { emoji: own.emoji })}</Button></div>}
    </Dialog>
  );
}

function Details({ message, conversation, close }: { message: Message; conversation: Conversation; close: () => void }) {
  const { data: full, error } = useLoad(() => conversation.receipts(message), message.id);
  return (
    <Dialog title={t("message.details")} onClose={close}>
      {error ? <Failure error={error} /> : !full ? <Loading /> : (
        <>
          <p>{ackName(full.ack)} · {moment(full.timestamp)}</p>
          {full.error && <p>{full.error}</p>}
          <ul class={ui.list}>
            {full.receipts.map((receipt) => (
              <li key={`${receipt.participant} ${receipt.ack}`} class={ui.listRow}><span class={ui.grow}><Name>{readableId(receipt.participant)}</Name></span><span>{ackName(receipt.ack)}</span><span class={ui.muted}>{moment(receipt.timestamp)}</span></li>
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}

function Forward({ message, conversation, chats, close }: { message: Message; conversation: Conversation; chats: readonly Chat[]; close: () => void }) {
  const [chosen, setChosen] = useState<string[]>([]);
  const [query, setQuery] = useState("");
  const [error, setError] = useState<unknown>(null);
  const shown = chats.filter((chat) => chatName(chat).toLowerCase().includes(query.toLowerCase())).slice(0, 50);
  const send = async () => {
    try {
      await conversation.forward(message, chosen);
      close();
      toast(t("message.forwardDone"));
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <Dialog title={t("message.forwardTo")} onClose={close}>
      <input type="search" class={ui.input} aria-label={t("chats.search")} placeholder={t("chats.search")} value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
      <div>
        {shown.map((chat) => (
          <Checkbox key={chat.id} label={<Name>{chatName(chat)}</Name>} checked={chosen.includes(chat.id)} onChange={() => setChosen(chosen.includes(chat.id) ? chosen.filter((id) => id !== chat.id) : [...chosen, chat.id])} />
        ))}
      </div>
      {error !== null && <Failure error={error} />}
      <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button variant="primary" disabled={chosen.length === 0} onClick={() => void send()}>{t("message.forward")}</Button></div>
    </Dialog>
  );
}

const ANNOUNCE_EVERY_MS = 5000;

/** Names the newest incoming message for screen readers, at most once in 5 s and without its text. */
function Announcer({ conversation }: { conversation: Conversation }) {
  const [words, setWords] = useState("");
  const last = useRef({ id: "", at: 0 });
  const newest = conversation.messages.value.at(-1);
  useEffect(() => {
    const isFirst = last.current.id === "";
    if (!newest || newest.id === last.current.id) return;
    last.current.id = newest.id;
    if (isFirst || newest.fromMe || Date.now() - last.current.at < ANNOUNCE_EVERY_MS) return;
    last.current.at = Date.now();
    const next = t("conversation.announce", { name: newest.notifyName || readableId(newest.author ?? newest.from) });
    // Only a changed text is announced: the space makes a difference that is not spoken.
    setWords((old) => (old === next ? `${next}\u00a0` : next));
  }, [newest]);
  return <span class="visually-hidden" role="status">{words}</span>;
}

interface Props {
  device: Device;
  chatId: string;
  target: string | undefined;
  feed: DeviceFeed;
  list: ChatList;
}

export function ConversationView({ device, chatId, target, feed, list }: Props) {
  const conversation = useConversation(device, chatId, feed);
  const inbox = useInbox(device, chatId, conversation);
  const [mode, setMode] = useState<ComposerMode>({ kind: "new" });
  const [files, showFiles] = useState(() => draft(device.id, chatId).files);
  const setFiles = (next: File[]) => {
    keepDraft(device.id, chatId, { files: next });
    showFiles(next);
  };
  const [dialog, setDialog] = useState<{ kind: "react" | "forward" | "details" | "picture"; message: Message } | null>(null);
  const [jumpTo, setJumpTo] = useState<string | undefined>(target);
  const [flashed, setFlashed] = useState<string>();
  const [sentCount, setSentCount] = useState(0);
  const [hasGroup, setGroup] = useState(false);
  const [isDropping, setDropping] = useState(false);
  const isAtEnd = useRef(false);
  void list.chats.value;
  const listed = list.get(chatId);
  const { data: loaded, error: notFound } = useLoad(() => data(api.GET("/api/v1/devices/{id}/chats/{chatId}", { params: { path: { id: device.id, chatId } } })), `${device.id} ${chatId}`);
  const chat = listed ?? loaded;
  const name = chat ? chatName(chat) : readableId(chatId);
  const openedUnread = useRef<number | undefined>(undefined);
  if (openedUnread.current === undefined && (loaded || notFound)) openedUnread.current = loaded?.unreadCount ?? 0;

  const jump = async (id: string) => {
    if (!(await conversation.loadUntil(id))) {
      toast(t("conversation.notFound"), true);
      return;
    }
    setJumpTo(id);
    setFlashed(id);
    setTimeout(() => setFlashed(undefined), FLASH_MS);
  };
  // The number of unread messages decides where the list opens.
  const isLoaded = conversation.isLoaded.value && openedUnread.current !== undefined;
  useEffect(() => {
    if (target && isLoaded) void jump(target);
  }, [target, isLoaded]);

  // Read marks: only while the tab is visible and the end is in view.
  const unread = chat?.unreadCount ?? 0;
  const markRead = () => {
    if (unread > 0 && maySend() && sendsReadMarks() && isAtEnd.current && document.visibilityState === "visible" && isLoaded) {
      conversation.markRead().then(() => chat && list.put({ ...(list.get(chatId) ?? chat), unreadCount: 0 }), () => undefined);
    }
  };
  useEffect(() => {
    const timer = setTimeout(markRead, 400);
    document.addEventListener("visibilitychange", markRead);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", markRead);
    };
  }, [unread, isLoaded, conversation.messages.value.length]);

  const merged = conversation.mergedInto.value;
  useEffect(() => {
    if (merged) redirect("devices", device.id, "chats", merged);
  }, [merged]);

  const actions = useMemo<MessageActions>(() => ({
    conversation,
    engine: device.engine,
    reply: (message) => setMode({ kind: "reply", message }),
    edit: (message) => setMode({ kind: "edit", message }),
    react: (message) => setDialog({ kind: "react", message }),
    forward: (message) => setDialog({ kind: "forward", message }),
    details: (message) => setDialog({ kind: "details", message }),
    jump: (id) => void jump(id),
    open: (message) => setDialog({ kind: "picture", message }),
  }), [conversation, device.engine]);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setDropping(false);
    if (maySend() && event.dataTransfer) setFiles(acceptFiles(files, event.dataTransfer.files));
  };
  const isInterrupted = feed.isInterrupted.value && allows("events:read");
  const isGroup = chat?.isGroup ?? chatId.endsWith("@g.us");
  const isEmpty = isLoaded && conversation.messages.value.length === 0 && inbox.lines.value.length === 0 && conversation.outgoing.value.length === 0;
  return (
    <section class={cx(css.conversation, isDropping && css.dropping)} aria-label={t("conversation.with", { name })} onDragOver={(event) => { event.preventDefault(); setDropping(true); }} onDragLeave={() => setDropping(false)} onDrop={drop}>
      <header class={css.head}>
        <a class={cx(ui.button, ui.icon, css.back)} href={href("devices", device.id, "chats")} aria-label={t("conversation.back")}><Icon name="back" /></a>
        <Avatar name={name} id={chatId} small group={chat?.isGroup} picture={pictureUrl(device, chatId)} />
        <div class={css.headText}>
          <h1><Name>{name}</Name></h1>
          <span class={`${ui.muted} ${ui.smallText}`}>{conversation.typing.value ? t("conversation.typing") : name === readableId(chatId) ? "" : readableId(chatId)}</span>
        </div>
        {chat && <Menu label={t("chat.actions")} items={[...(isGroup && capability(device.engine, "groups") ? [{ label: t("group.title"), icon: "group" as const, run: () => setGroup(true) }] : []), ...chatItems(device.id, chat, list)]} />}
      </header>
      <InboxBar inbox={inbox} />
      {isInterrupted && <div class={css.bar} role="status"><Icon name="warning" size={18} />{t("conversation.interrupted")}</div>}
      {device.state !== "ready" && <div class={css.bar} role="status"><Icon name="info" size={18} />{t("conversation.deviceOff")} <a href={href("devices", device.id, "link")}>{t("conversation.toDevice")}</a></div>}
      {conversation.failure.value ? <div class={ui.cardBody}><Failure error={conversation.failure.value} retry={() => void conversation.load()} /></div> : null}
      {!isLoaded ? <div class={css.center}>{!conversation.failure.value && <Loading />}</div> : isEmpty ? (
        <div class={css.center}><Empty icon="chats" title={t("conversation.emptyTitle")}>{maySend() ? t("conversation.emptyText") : undefined}</Empty></div>
      ) : (
        <MessageList conversation={conversation} lines={inbox.lines.value} actions={actions} isGroup={isGroup} unread={openedUnread.current ?? 0} target={jumpTo} flashed={flashed} sentCount={sentCount} onEnd={(atEnd) => { isAtEnd.current = atEnd; if (atEnd) markRead(); }} />
      )}
      {maySend() && <Composer key={`${device.id} ${chatId}`} conversation={conversation} feed={feed} engine={device.engine} mode={mode} setMode={setMode} files={files} setFiles={setFiles} isWaiting={isInterrupted} onSent={() => setSentCount((old) => old + 1)} />}
      <Announcer conversation={conversation} />
      {hasGroup && <GroupDialog deviceId={device.id} groupId={chatId} ownId={conversation.ownId} close={() => setGroup(false)} />}
      {dialog?.kind === "react" && <QuickReactions message={dialog.message} conversation={conversation} close={() => setDialog(null)} />}
      {dialog?.kind === "details" && <Details message={dialog.message} conversation={conversation} close={() => setDialog(null)} />}
      {dialog?.kind === "picture" && <Lightbox messages={conversation.messages.value} first={dialog.message} close={() => setDialog(null)} />}
      {dialog?.kind === "forward" && <Forward message={dialog.message} conversation={conversation} chats={list.chats.value} close={() => setDialog(null)} />}
    </section>
  );
}
