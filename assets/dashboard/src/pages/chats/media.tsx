import { useRef, useState } from "preact/hooks";
import type { Message } from "../../chat/message_store";
import { fileSize, number, t } from "../../i18n";
import { ownUrl } from "../../lib/base";
import { visible } from "../../lib/text";
import { Button, cx, ui } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import css from "./chats.module.css";

const SPEEDS = [1, 1.5, 2];

/** The address of a message's file on the page's own origin, or an empty text. */
export const mediaUrl = (message: Message): string => ownUrl(message.mediaUrl ?? message.mediaInfo?.downloadUrl ?? "");

export function Gone() {
  return <span class={css.note}><Icon name="file" size={16} />{t("media.gone")}</span>;
}

export function LinkDownload({ url, name }: { url: string; name?: string | null }) {
  return <a class={ui.button} href={url} download={name || ""}><Icon name="download" size={18} />{t("media.download")}</a>;
}

function Thumbnail({ message, url, open }: { message: Message; url: string; open: (message: Message) => void }) {
  const [isGone, setGone] = useState(false);
  if (isGone) return <Gone />;
  const isSticker = message.type === "sticker";
  const name = message.filename ? visible(message.filename) : isSticker ? t("type.sticker") : t("type.image");
  return (
    <button type="button" class={cx(css.media, isSticker && css.sticker)} aria-label={t("media.open", { name })} onClick={() => open(message)}>
      <img src={isSticker ? url : ownUrl(message.mediaInfo?.thumbnailUrl ?? "") || url} alt="" loading="lazy" onError={() => setGone(true)} />
    </button>
  );
}

function Sound({ url, isVoice }: { url: string; isVoice: boolean }) {
  const [isGone, setGone] = useState(false);
  const [speed, setSpeed] = useState(1);
  const player = useRef<HTMLAudioElement>(null);
  if (isGone) return <Gone />;
  const change = () => {
    const next = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length]!;
    setSpeed(next);
    if (player.current) player.current.playbackRate = next;
  };
  return (
    <span class={css.sound}>
      <audio ref={player} class={css.audio} src={url} controls preload="metadata" onError={() => setGone(true)} aria-label={isVoice ? t("type.ptt") : t("type.audio")} />
      <Button size="small" aria-label={t("media.speed", { n: number(speed) })} onClick={change}>{number(speed)}×</Button>
    </span>
  );
}

function Video({ url }: { url: string }) {
  const [isGone, setGone] = useState(false);
  return isGone ? <Gone /> : <video class={css.video} src={url} controls preload="metadata" onError={() => setGone(true)} aria-label={t("type.video")} />;
}

/** The file of a message, always from the page's own origin. */
export function Media({ message, open }: { message: Message; open: (message: Message) => void }) {
  const url = mediaUrl(message);
  if (!url) return <Gone />;
  const { type } = message;
  if (type === "image" || type === "sticker") return <Thumbnail message={message} url={url} open={open} />;
  if (type === "audio" || type === "ptt") return <Sound url={url} isVoice={type === "ptt"} />;
  if (type === "video") return <Video url={url} />;
  return (
    <a class={css.document} href={url} download={message.filename || ""}>
      <Icon name="file" size={26} />
      <span class={ui.grow}><bdi>{visible(message.filename || t("type.document"))}</bdi><br /><span class={`${ui.muted} ${ui.smallText}`}>{message.filesize ? fileSize(message.filesize) : ""}</span></span>
      <Icon name="download" />
    </a>
  );
}
