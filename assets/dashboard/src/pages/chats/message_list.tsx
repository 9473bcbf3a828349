import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Conversation, Outgoing } from "../../chat/conversation";
import type { InboxLine } from "../../chat/inbox_lines";
import type { Message } from "../../chat/message_store";
import { clockTime, dayName, number, t, tn } from "../../i18n";
import { visible } from "../../lib/text";
import { Button, cx, failureText, Name, ui } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { RichText } from "../../ui/rich_text";
import { VirtualList, type VListHandle } from "../../ui/virtual_list";
import { type MessageActions, MessageView } from "./message_view";
import css from "./chats.module.css";
import inbox from "./inbox.module.css";

const END_DISTANCE = 60;
const LOAD_OLDER_DISTANCE = 600;
const MEASURE_AFTER_MS = [60, 400];

type Row =
  | { kind: "day"; key: string; at: number }
  | { kind: "new"; key: string }
  | { kind: "message"; key: string; message: Message; isFirst: boolean }
  | { kind: "line"; key: string; line: InboxLine }
  | { kind: "outgoing"; key: string; item: Outgoing };

/** The rows of the list: day separators, the mark of the first unread message, messages, lines of an inbox, and what is
 *  being sent. Lines that are older than the oldest message come with the page of that time. */
export function rows(messages: readonly Message[], lines: readonly InboxLine[], outgoing: readonly Outgoing[], firstUnread: string | undefined): Row[] {
  const result: Row[] = [];
  let lastDay = "";
  let lastAuthor = "";
  const waiting = lines.filter((line) => messages.length === 0 || line.at >= messages[0]!.timestamp);
  const addLinesBefore = (at: number) => {
    while (waiting.length > 0 && waiting[0]!.at < at) {
      const line = waiting.shift()!;
      result.push({ kind: "line", key: `line ${line.id}`, line });
      lastAuthor = "";
    }
  };
  for (const message of messages) {
    addLinesBefore(message.timestamp);
    const day = new Date(message.timestamp).toDateString();
    if (day !== lastDay) result.push({ kind: "day", key: `day ${day} ${message.id}`, at: message.timestamp });
    if (message.id === firstUnread) result.push({ kind: "new", key: "new" });
    const author = message.fromMe ? `me ${message.sentBy?.id ?? ""}` : (message.author ?? message.from);
    result.push({ kind: "message", key: message.id, message, isFirst: author !== lastAuthor || day !== lastDay });
    lastDay = day;
    lastAuthor = author;
  }
  addLinesBefore(Number.POSITIVE_INFINITY);
  for (const item of outgoing) result.push({ kind: "outgoing", key: item.key, item });
  return result;
}

/** An internal note, which only the inbox sees, or a system message. */
function LineView({ line }: { line: InboxLine }) {
  if (line.author === undefined) return <p class={inbox.system}><bdi>{visible(line.text)}</bdi></p>;
  return (
    <div class={inbox.note} data-note={line.id}>
      <p class={inbox.noteHead}>{t("inbox.noteBy")} <Name>{line.author}</Name><time>{clockTime(line.at)}</time></p>
      <p class={inbox.noteText}><RichText text={line.text} /></p>
    </div>
  );
}

function OutgoingView({ item, conversation }: { item: Outgoing; conversation: Conversation }) {
  return (
    <div class={cx(css.item, css.mine, css.first)}>
      <div class={css.bubble}>
        {item.file && <span class={css.document}><Icon name="file" size={26} /><bdi>{visible(item.file.name)}</bdi></span>}
        {item.file && item.state === "sending" && <progress value={item.progress} max={1} aria-label={t("composer.uploading")} />}
        {item.poll && <span class={css.document}><Icon name="poll" size={26} /><bdi>{visible(item.poll.name)}</bdi></span>}
        {item.text && <span class={css.body}><bdi>{item.text}</bdi></span>}
        {item.state === "failed" ? (
          <span class={css.failed} role="alert">
            {t("message.notSent")} {failureText(item.error)}
            <span class={ui.row}><Button size="small" onClick={() => conversation.retry(item.key)}>{t("action.retry")}</Button><Button size="small" variant="quiet" onClick={() => conversation.cancel(item.key)}>{t("action.discard")}</Button></span>
          </span>
        ) : (
          <span class={css.meta}><Icon name="clock" size={13} />{item.file && <Button size="small" variant="quiet" onClick={() => conversation.cancel(item.key)}>{t("action.cancel")}</Button>}</span>
        )}
      </div>
    </div>
  );
}

interface Props {
  conversation: Conversation;
  /** Notes and system messages of an inbox. */
  lines: readonly InboxLine[];
  actions: MessageActions;
  isGroup: boolean;
  /** Unread messages when the chat was opened. */
  unread: number;
  target: string | undefined;
  flashed: string | undefined;
  onEnd: (isAtEnd: boolean) => void;
  /** Raised when something was sent: the end is shown. */
  sentCount: number;
}

/** The messages, virtualised. It opens at the first unread one and stays at the end while the end is in view. */
export function MessageList({ conversation, lines, actions, isGroup, unread, target, flashed, onEnd, sentCount }: Props) {
  const handle = useRef<VListHandle>(null);
  const isAtEnd = useRef(true);
  const hasOpened = useRef(false);
  const [below, setBelow] = useState(0);
  const [isAway, setAway] = useState(false);
  const messages = conversation.messages.value;
  const outgoing = conversation.outgoing.value;
  const firstUnread = useRef<string | undefined>(undefined);
  const lastCount = useRef(0);

  if (!hasOpened.current && messages.length > 0 && unread > 0) {
    const incoming = messages.filter((message) => !message.fromMe);
    firstUnread.current = incoming.at(-Math.min(unread, incoming.length))?.id;
  }
  const list = useMemo(() => rows(messages, lines, outgoing, firstUnread.current), [messages, lines, outgoing, hasOpened.current]);

  const scrollToEnd = () => handle.current?.scrollToIndex(list.length - 1, { align: "end" });
  useLayoutEffect(() => {
    if (list.length === 0) return undefined;
    if (!hasOpened.current) {
      hasOpened.current = true;
      const at = list.findIndex((row) => row.kind === "new");
      // Until the list is measured, the end is not in view: a reload meanwhile must not scroll to it.
      isAtEnd.current = at < 0;
      if (at >= 0) handle.current?.scrollToIndex(at, { align: "start" });
      else scrollToEnd();
    } else if (isAtEnd.current && !conversation.isPrepended.value) {
      scrollToEnd();
    } else if (!conversation.isPrepended.value) {
      const added = messages.length - lastCount.current;
      if (added > 0 && added < 20) setBelow((old) => old + added);
    }
    lastCount.current = messages.length;
    // The library measures rows after the layout; a list that fits emits no scroll event.
    const timers = MEASURE_AFTER_MS.map((pause) => setTimeout(measure, pause));
    return () => timers.forEach(clearTimeout);
  }, [list]);
  useEffect(() => {
    if (sentCount > 0) scrollToEnd();
  }, [sentCount]);
  useEffect(() => {
    if (!target) return;
    const at = list.findIndex((row) => row.key === target);
    if (at >= 0) handle.current?.scrollToIndex(at, { align: "center" });
  }, [target, flashed]);

  const measure = () => {
    const view = handle.current;
    if (!view || view.viewportSize === 0) return;
    const atEnd = view.scrollOffset + view.viewportSize >= view.scrollSize - END_DISTANCE;
    isAtEnd.current = atEnd;
    setAway(!atEnd);
    if (atEnd) setBelow(0);
    onEnd(atEnd);
    if (view.scrollOffset < LOAD_OLDER_DISTANCE) void conversation.loadOlder();
  };

  return (
    <>
      <VirtualList handle={handle} class={css.messages} role="log" aria-label={t("conversation.messages")} aria-live="off" tabIndex={0} shift={conversation.isPrepended.value} onScroll={measure}>
        {list.map((row) => {
          if (row.kind === "day") return <div key={row.key} class={css.day}><span>{dayName(row.at)}</span></div>;
          if (row.kind === "new") return <div key={row.key} class={css.newMark}>{t("conversation.new")}</div>;
          if (row.kind === "line") return <LineView key={row.key} line={row.line} />;
          if (row.kind === "outgoing") return <OutgoingView key={row.key} item={row.item} conversation={conversation} />;
          return <MessageView key={row.key} message={row.message} actions={actions} isGroup={isGroup} isFirst={row.isFirst} isFlashed={row.key === flashed} />;
        })}
      </VirtualList>
      {isAway && (
        <Button class={css.jump} icon="down" onClick={scrollToEnd} aria-label={below > 0 ? tn("conversation.below", below) : t("conversation.toEnd")}>{below > 0 && number(below)}</Button>
      )}
    </>
  );
}
