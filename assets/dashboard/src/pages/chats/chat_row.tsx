import { memo } from "preact/compat";
import type { Chat } from "../../chat/chat_list";
import { shortTime, t, tn } from "../../i18n";
import { href } from "../../lib/router";
import { readableId } from "../../lib/text";
import { Avatar, Name, ui } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { devices } from "../../api/fleet";
import { pictureUrl, summary } from "./words";
import css from "./chats.module.css";

export const chatName = (chat: { id: string; name?: string | null }): string => chat.name || readableId(chat.id);

export const ChatRow = memo(function ChatRow({ deviceId, chat, isOpen, at, count }: { deviceId: string; chat: Chat; isOpen: boolean; at: number; count: number }) {
  const name = chatName(chat);
  const last = chat.lastMessage;
  return (
    <div role="listitem" aria-setsize={count} aria-posinset={at + 1}>
      <a class={css.chat} href={href("devices", deviceId, "chats", chat.id)} aria-current={isOpen ? "true" : undefined} data-row data-chat={chat.id}>
        <Avatar name={name} id={chat.id} group={chat.isGroup} picture={pictureUrl(devices.value?.get(deviceId), chat.id)} />
        <span class={ui.grow}>
          <span class={css.line}>
            <span class={css.title}><Name>{name}</Name></span>
            {last && <time class={css.time}>{shortTime(last.timestamp)}</time>}
          </span>
          <span class={css.line}>
            <span class={css.preview}>{last ? <>{last.fromMe && `${t("chat.you")}: `}<Name>{summary(last)}</Name></> : t("chat.noMessages")}</span>
            {chat.muted && <span class={css.mark} title={t("chat.muted")}><Icon name="muted" size={15} /><span class="visually-hidden">{t("chat.muted")}</span></span>}
            {chat.pinned && <span class={css.mark} title={t("chat.pinned")}><Icon name="pin" size={15} /><span class="visually-hidden">{t("chat.pinned")}</span></span>}
            {chat.unreadCount > 0 && <span class={css.count}><span aria-hidden="true">{chat.unreadCount}</span><span class="visually-hidden">{tn("chat.unread", chat.unreadCount)}</span></span>}
          </span>
        </span>
      </a>
    </div>
  );
});
