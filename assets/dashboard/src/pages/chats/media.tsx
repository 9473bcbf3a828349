import { useState } from "preact/hooks";
import type { Message } from "../../chat/message_store";
import { fileSize, t } from "../../i18n";
import { ownUrl } from "../../lib/base";
import { visible } from "../../lib/text";
import { ui } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import css from "./chats.module.css";

function Gone() {
  return <span class={css.note}><Icon name="file" size={16} />{t("media.gone")}</span>;
}

function Picture({ message, url, thumbnail, isSticker }: { message: Message; url: string; thumbnail: string; isSticker: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const [isGone, setGone] = useState(false);
  if (isGone) return <Gone />;
  const alt = message.filename ? visible(message.filename) : isSticker ? t("type.sticker") : t("type.image");
  return (
    <>
      <button type="button" class={`${css.media} ${isSticker ? css.sticker : ""}`} aria-label={t("media.open", { name: alt })} onClick={() => setOpen(true)}>
        <img src={isSticker ? url : thumbnail} alt="" loading="lazy" onError={() => setGone(true)} />
      </button>
      {isOpen && (
        <Dialog title={alt} class={css.lightbox} onClose={() => setOpen(false)}>
          <img src={url} alt={message.body || alt} onError={() => setGone(true)} />
          <div class={ui.actions}><LinkDownload url={url} name={message.filename} /></div>
        </Dialog>
      )}
    </>
  );
}

function LinkDownload({ url, name }: { url: string; name?: string | null }) {
  return <a class={ui.button} href={url} download={name || ""}><Icon name="download" size={18} />{t("media.download")}</a>;
}

function Player({ url, isVoice, isVideo }: { url: string; isVoice: boolean; isVideo: boolean }) {
  const [isGone, setGone] = useState(false);
  if (isGone) return <Gone />;
  const common = { src: url, controls: true, preload: "metadata" as const, onError: () => setGone(true) };
  return isVideo ? <video class={css.video} {...common} aria-label={t("type.video")} /> : <audio class={css.audio} {...common} aria-label={isVoice ? t("type.ptt") : t("type.audio")} />;
}

/** The file of a message, always from the page's own origin. */
export function Media({ message }: { message: Message }) {
  const url = ownUrl(message.mediaUrl ?? message.mediaInfo?.downloadUrl ?? "");
  if (!url) return <Gone />;
  const thumbnail = ownUrl(message.mediaInfo?.thumbnailUrl ?? "") || url;
  const { type } = message;
  if (type === "image" || type === "sticker") return <Picture message={message} url={url} thumbnail={thumbnail} isSticker={type === "sticker"} />;
  if (type === "video" || type === "audio" || type === "ptt") return <Player url={url} isVoice={type === "ptt"} isVideo={type === "video"} />;
  return (
    <a class={css.document} href={url} download={message.filename || ""}>
      <Icon name="file" size={26} />
      <span class={ui.grow}><bdi>{visible(message.filename || t("type.document"))}</bdi><br /><span class={`${ui.muted} ${ui.smallText}`}>{message.filesize ? fileSize(message.filesize) : ""}</span></span>
      <Icon name="download" />
    </a>
  );
}

