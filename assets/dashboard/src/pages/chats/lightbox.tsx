import { useState } from "preact/hooks";
import type { Message } from "../../chat/message_store";
import { direction, number, t } from "../../i18n";
import { visible } from "../../lib/text";
import { IconButton, ui } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { Gone, LinkDownload, mediaUrl } from "./media";
import css from "./chats.module.css";

export const isPicture = (message: Message): boolean => (message.type === "image" || message.type === "sticker") && Boolean(mediaUrl(message));

/** One picture at a time; arrow keys show the others of the conversation. */
export function Lightbox({ messages, first, close }: { messages: readonly Message[]; first: Message; close: () => void }) {
  const [id, setId] = useState(first.id);
  const [gone, setGone] = useState("");
  const pictures = messages.filter(isPicture);
  const at = Math.max(0, pictures.findIndex((message) => message.id === id));
  const shown = pictures[at] ?? first;
  const name = shown.filename ? visible(shown.filename) : t("type.image");
  const go = (step: number) => setId(pictures[at + step]?.id ?? shown.id);
  const press = (event: KeyboardEvent) => {
    const forward = direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") go(event.key === forward ? 1 : -1);
  };
  return (
    <Dialog title={<>{name} <span class={ui.muted}>{t("media.position", { at: number(at + 1), of: number(pictures.length) })}</span></>} class={css.lightbox} onClose={close} onKey={press}>
      {gone === shown.id ? <Gone /> : <img key={shown.id} src={mediaUrl(shown)} alt={shown.body || name} onError={() => setGone(shown.id)} />}
      <div class={ui.actions}>
        <IconButton label={t("media.previous")} icon="back" class={css.flip} disabled={at === 0} onClick={() => go(-1)} />
        <IconButton label={t("media.next")} icon="next" class={css.flip} disabled={at >= pictures.length - 1} onClick={() => go(1)} />
        <span class={ui.grow} />
        <LinkDownload url={mediaUrl(shown)} name={shown.filename} />
      </div>
    </Dialog>
  );
}
