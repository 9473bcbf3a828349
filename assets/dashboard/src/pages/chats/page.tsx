import { useEffect, useMemo } from "preact/hooks";
import { type Device, deviceList, devices } from "../../api/fleet";
import { allows, session } from "../../api/session";
import { ChatList } from "../../chat/chat_list";
import { DeviceFeed } from "../../chat/feed";
import { t } from "../../i18n";
import { usePolling } from "../../lib/hooks";
import { href, redirect, route } from "../../lib/router";
import { Empty, LinkButton, Loading } from "../../ui/basics";
import { ChatPane } from "./chat_pane";
import { ConversationView } from "./conversation_view";
import { maySend } from "./words";
import css from "./chats.module.css";

const POLL_MS = 4000;

/** A key without `devices:read` knows its devices by its own list only. */
function unlisted(id: string): Device {
  return { id, deviceId: id, name: id, engine: "", state: "ready", status: "ready", createdAt: 0, settings: {}, stats: { messagesReceived: 0, messagesSent: 0, contacts: 0, groups: 0 } } as Device;
}

function DeviceChats({ device, chatId, target }: { device: Device; chatId: string | undefined; target: string | undefined }) {
  const { id } = device;
  const list = useMemo(() => new ChatList(id), [id]);
  const feed = useMemo(() => new DeviceFeed(id), [id]);
  useEffect(() => {
    const stop = feed.subscribe({ onEvent: (event) => list.apply(event), onReload: () => void list.reload() });
    feed.open();
    return () => {
      stop();
      feed.close();
    };
  }, [feed, list]);
  usePolling(() => {
    if (!feed.isConnected.value) void list.reload();
  }, POLL_MS);
  return (
    <div class={css.layout} data-open={Boolean(chatId)}>
      <ChatPane deviceId={id} list={list} openChat={chatId} maySend={maySend()} />
      {chatId ? <ConversationView key={`${id} ${chatId}`} device={device} chatId={chatId} target={target} feed={feed} list={list} /> : (
        <section class={`${css.conversation} ${css.center}`}><Empty icon="chats" title={t("chats.chooseTitle")}>{t("chats.chooseText")}</Empty></section>
      )}
    </div>
  );
}

export function Chats() {
  const [first, id, , chatId, messageId] = route.value;
  const known = devices.value;
  const keyDevices = session.value?.key.devices;
  const fallback = deviceList.value.find((device) => device.state === "ready")?.id ?? deviceList.value[0]?.id ?? keyDevices?.[0];
  useEffect(() => {
    if (first === "chats" && fallback) redirect("devices", fallback, "chats");
  }, [first, fallback]);
  if (allows("devices:read") && !known) return <Loading />;
  if (first === "chats") {
    if (fallback) return <Loading />;
    return <Empty icon="chats" title={t("chats.noDeviceTitle")} action={allows("devices:write") && <LinkButton variant="primary" to={href("devices", "new")}>{t("devices.link")}</LinkButton>}>{t("chats.noDeviceText")}</Empty>;
  }
  const device = known?.get(id!) ?? (allows("devices:read") ? undefined : unlisted(id!));
  if (!device) return <Empty icon="devices" title={t("device.unknown")} action={<a href={href("devices")}>{t("device.all")}</a>} />;
  return <DeviceChats key={device.id} device={device} chatId={chatId} target={messageId} />;
}
