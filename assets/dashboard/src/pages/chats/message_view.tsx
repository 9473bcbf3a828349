import { memo } from "preact/compat";
import type { Conversation } from "../../chat/conversation";
import type { Message } from "../../chat/message_store";
import { clockTime, number, t, tn } from "../../i18n";
import { readableId } from "../../lib/text";
import { cx, IconButton, Name } from "../../ui/basics";
import { attempt, confirmThen, Menu, type MenuItem } from "../../ui/dialog";
import { Icon, Tick } from "../../ui/icons";
import { Contained } from "../../ui/error_boundary";
import { RichText } from "../../ui/rich_text";
import { Media } from "./media";
import { PollView } from "./poll";
import { ackName, failureWords, maySend, refusal, summary } from "./words";
import css from "./chats.module.css";

export interface MessageActions {
  conversation: Conversation;
  engine: string;
  reply: (message: Message) => void;
  edit: (message: Message) => void;
  react: (message: Message) => void;
  forward: (message: Message) => void;
  details: (message: Message) => void;
  jump: (id: string) => void;
  open: (message: Message) => void;
}

function Ticks({ ack }: { ack: number }) {
  const label = ackName(ack);
  return (
    <span class={css.ticks} data-read={ack >= 3} data-ack={ack} title={label}>
      {ack === -1 ? <Icon name="warning" size={14} /> : ack === 0 ? <Icon name="clock" size={13} /> : <Tick double={ack >= 2} />}
      <span class="visually-hidden">{label}</span>
    </span>
  );
}

function Quote({ quoted, jump }: { quoted: Message; jump: (id: string) => void }) {
  return (
    <button type="button" class={css.quote} onClick={() => jump(quoted.id)}>
      <strong>{quoted.fromMe ? t("chat.you") : <Name>{quoted.notifyName || readableId(quoted.author ?? quoted.from ?? "")}</Name>}</strong>
      <span class={css.quoteText}><Name>{summary(quoted)}</Name></span>
    </button>
  );
}

function Content({ message, actions }: { message: Message; actions: MessageActions }) {
  if (message.type === "revoked") return <span class={css.note}><Icon name="trash" size={15} />{t("message.revoked")}</span>;
  const { location } = message;
  return (
    <>
      {message.hasMedia && <Media message={message} open={actions.open} />}
      {location && (
        <span class={css.document}><Icon name="location" /><span><Name>{location.description || t("type.location")}</Name><br />{number(location.latitude)}, {number(location.longitude)}</span></span>
      )}
      {message.vCards?.map((card, at) => <span key={at} class={css.document}><Icon name="person" /><Name>{card.displayName}</Name></span>)}
      {message.poll && <PollView message={message} conversation={actions.conversation} engine={actions.engine} />}
      {message.type === "call_log" && <span class={css.note}>{t("type.call_log")}</span>}
      {message.type === "unknown" && !message.body && <span class={css.note}>{t("message.unsupported")}</span>}
      {message.body && !message.poll && message.type !== "vcard" && !location && <span class={css.body}><RichText text={message.body} /></span>}
    </>
  );
}

function byEmoji(reactions: Message["reactions"]): Map<string, Message["reactions"]> {
  const groups = new Map<string, Message["reactions"]>();
  for (const reaction of reactions) groups.set(reaction.emoji, [...(groups.get(reaction.emoji) ?? []), reaction]);
  return groups;
}

function Reactions({ message, conversation }: { message: Message; conversation: Conversation }) {
  if (message.reactions.length === 0) return null;
  const groups = byEmoji(message.reactions);
  return (
    <span class={css.reactions}>
      {[...groups].map(([emoji, given]) => {
        const isMine = given.some((reaction) => reaction.fromMe);
        return (
          <button key={emoji} type="button" class={css.reaction} aria-pressed={isMine} disabled={!maySend()} aria-label={tn("message.reactions", given.length, { emoji })} onClick={() => void attempt(() => conversation.react(message, isMine ? "" : emoji))}>
            {emoji}{given.length > 1 && ` ${number(given.length)}`}
          </button>
        );
      })}
    </span>
  );
}

function menuItems(message: Message, actions: MessageActions): MenuItem[] {
  const { conversation, engine } = actions;
  const items: MenuItem[] = [];
  if (message.body) items.push({ label: t("action.copy"), icon: "copy", run: () => void navigator.clipboard.writeText(message.body) });
  if (maySend() && message.type !== "revoked") {
    items.push({ label: t("message.react"), icon: "smile", refusal: refusal(engine, "react"), run: () => actions.react(message) });
    items.push({ label: t("message.forward"), icon: "forward", run: () => actions.forward(message) });
    items.push({ label: message.isStarred ? t("message.unstar") : t("message.star"), icon: "star", run: () => void attempt(() => conversation.star(message)) });
    if (message.fromMe && message.type === "chat") items.push({ label: t("message.edit"), icon: "edit", refusal: refusal(engine, "edit"), run: () => actions.edit(message) });
  }
  if (maySend() && message.fromMe && message.ack === 0) items.push({ label: t("message.cancelQueued"), icon: "close", run: () => void attempt(() => conversation.cancelQueued(message)) });
  if (message.fromMe) items.push({ label: t("message.details"), icon: "info", run: () => actions.details(message) });
  if (maySend()) {
    items.push({ label: t("message.deleteMine"), icon: "trash", isDangerous: true, run: () => confirmThen({ title: t("message.deleteMine"), text: t("message.deleteMineText"), action: t("action.delete"), isDangerous: true, run: () => conversation.delete(message, false) }) });
    if (message.fromMe && message.type !== "revoked") {
      items.push({ label: t("message.deleteAll"), icon: "trash", isDangerous: true, refusal: refusal(engine, "revoke"), run: () => confirmThen({ title: t("message.deleteAll"), text: t("message.deleteAllText"), action: t("action.delete"), isDangerous: true, run: () => conversation.delete(message, true) }) });
    }
  }
  return items;
}

export interface MessageViewProps {
  message: Message;
  actions: MessageActions;
  isGroup: boolean;
  isFirst: boolean;
  isFlashed: boolean;
}

/** A message with fields that the page does not understand is named as such; the others stay visible. */
export const MessageView = memo(function MessageView(props: MessageViewProps) {
  const unsupported = <div class={css.item} data-message={props.message.id}><div class={css.bubble}><span class={css.note}>{t("message.unsupported")}</span></div></div>;
  return <Contained fallback={unsupported}><Shown {...props} /></Contained>;
});

function Shown({ message, actions, isGroup, isFirst, isFlashed }: MessageViewProps) {
  return (
    <div class={cx(css.item, message.fromMe && css.mine, isFirst && css.first)} data-message={message.id}>
      <div class={css.bubble} data-flash={isFlashed}>
        {isGroup && !message.fromMe && isFirst && <span class={css.author}><Name>{message.notifyName || readableId(message.author ?? "")}</Name></span>}
        {message.fromMe && message.sentBy && isFirst && <span class={css.author}><Name>{message.sentBy.name}</Name></span>}
        {message.isForwarded && <span class={css.note}><Icon name="forward" size={14} />{t("message.forwarded")}</span>}
        {message.quotedMessage && <Quote quoted={message.quotedMessage} jump={actions.jump} />}
        <Content message={message} actions={actions} />
        {message.ack === -1 && <span class={css.failed}>{failureWords(message)}</span>}
        <span class={css.meta}>
          {message.isStarred && <span title={t("message.starred")}><Icon name="star" size={12} /><span class="visually-hidden">{t("message.starred")}</span></span>}
          {message.isEdited && <span>{t("message.edited")}</span>}
          <time>{clockTime(message.timestamp)}</time>
          {message.fromMe && <Ticks ack={message.ack} />}
        </span>
        <Reactions message={message} conversation={actions.conversation} />
      </div>
      <div class={css.tools}>
        {maySend() && message.type !== "revoked" && <IconButton label={t("message.reply")} icon="reply" onClick={() => actions.reply(message)} />}
        <Menu label={t("message.actions")} items={menuItems(message, actions)} />
      </div>
    </div>
  );
}
