import { lazy, Suspense } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { session } from "../../api/session";
import type { Conversation } from "../../chat/conversation";
import { draft, keepDraft } from "../../chat/drafts";
import type { DeviceFeed } from "../../chat/feed";
import type { Message } from "../../chat/message_store";
import { fileSize, t } from "../../i18n";
import { readableId, visible } from "../../lib/text";
import { IconButton, Name, ui } from "../../ui/basics";
import { attempt, toast } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { refusal, summary } from "./words";
import css from "./chats.module.css";

const EmojiGrid = lazy(() => import("./emoji"));
const PollDialog = lazy(() => import("./poll_dialog"));
const TYPING_EVERY_MS = 5000;
const MAX_FILES = 10;

export type ComposerMode = { kind: "new" } | { kind: "reply"; message: Message } | { kind: "edit"; message: Message };

interface Props {
  conversation: Conversation;
  feed: DeviceFeed;
  engine: string;
  mode: ComposerMode;
  setMode: (mode: ComposerMode) => void;
  files: File[];
  setFiles: (files: File[]) => void;
  isWaiting: boolean;
  onSent: () => void;
}

/** The files that may be sent; the others are named in a message. */
export function acceptFiles(old: File[], added: Iterable<File>): File[] {
  const limit = session.value!.server.limits.mediaMaxBytes;
  const files = [...old];
  for (const file of added) {
    if (file.size > limit) toast(t("composer.tooLarge", { name: file.name, size: fileSize(limit) }), true);
    else if (files.length >= MAX_FILES) toast(t("composer.tooMany", { n: MAX_FILES }), true);
    else files.push(file);
  }
  return files;
}

function FileChip({ file, remove }: { file: File; remove: () => void }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (!/^image\/(png|jpeg|gif|webp)$/.test(file.type)) return undefined;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return (
    <span class={css.file}>
      {url ? <img src={url} alt="" /> : <Icon name="file" />}
      <span class={ui.truncate}><bdi>{visible(file.name)}</bdi> · {fileSize(file.size)}</span>
      <IconButton label={t("composer.removeFile", { name: file.name })} icon="close" onClick={remove} />
    </span>
  );
}

export function Composer({ conversation, feed, engine, mode, setMode, files, setFiles, isWaiting, onSent }: Props) {
  const [text, setText] = useState(() => draft(conversation.deviceId, conversation.chatId).text);
  const [hasEmoji, setEmoji] = useState(false);
  const [hasPoll, setPoll] = useState(false);
  const noPolls = refusal(engine, "polls");
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const typedAt = useRef(0);
  useEffect(() => {
    if (mode.kind === "edit") setText(mode.message.body);
    if (mode.kind !== "new") area.current?.focus();
  }, [mode]);
  const change = (value: string) => {
    setText(value);
    if (mode.kind !== "edit") keepDraft(conversation.deviceId, conversation.chatId, { text: value });
    if (value && Date.now() - typedAt.current > TYPING_EVERY_MS) {
      typedAt.current = Date.now();
      feed.emit("typing:start", { chatId: conversation.chatId });
    }
  };
  const leave = () => {
    if (mode.kind === "edit") setText(draft(conversation.deviceId, conversation.chatId).text);
    setMode({ kind: "new" });
  };
  const clear = () => {
    setText("");
    keepDraft(conversation.deviceId, conversation.chatId, { text: "" });
    setFiles([]);
    setMode({ kind: "new" });
    typedAt.current = 0;
    onSent();
  };
  const submit = async () => {
    const words = text.trim();
    if (isWaiting || (!words && files.length === 0)) return;
    if (mode.kind === "edit") {
      if (await attempt(() => conversation.edit(mode.message, words))) leave();
      return;
    }
    const quoted = mode.kind === "reply" ? mode.message : undefined;
    if (files.length === 0) conversation.send(words, { quoted });
    // The text is the caption of the first file.
    files.forEach((file, at) => conversation.send(at === 0 ? words : "", { file, quoted: at === 0 ? quoted : undefined }));
    clear();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      void submit();
    }
    if (event.key === "Escape" && hasEmoji) setEmoji(false);
    else if (event.key === "Escape" && mode.kind !== "new") leave();
  };
  const paste = (event: ClipboardEvent) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length === 0) return;
    event.preventDefault();
    setFiles(acceptFiles(files, pasted));
  };
  const insert = (emoji: string) => {
    const at = area.current?.selectionStart ?? text.length;
    change(text.slice(0, at) + emoji + text.slice(at));
    area.current?.focus();
  };
  return (
    <>
    <form class={css.composer} onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      {mode.kind !== "new" && (
        <div class={css.composerNote}>
          <span class={`${ui.grow} ${ui.truncate}`}>
            <strong>{mode.kind === "edit" ? t("composer.editing") : t("composer.replying", { name: mode.message.fromMe ? t("chat.you") : mode.message.notifyName || readableId(mode.message.author ?? mode.message.from) })}</strong>
            <br /><Name>{summary(mode.message)}</Name>
          </span>
          <IconButton label={t("action.cancel")} icon="close" onClick={leave} />
        </div>
      )}
      {files.length > 0 && (
        <div class={css.files}>{files.map((file, at) => <FileChip key={`${file.name} ${at}`} file={file} remove={() => setFiles(files.filter((_, other) => other !== at))} />)}</div>
      )}
      {hasEmoji && <Suspense fallback={null}><EmojiGrid choose={insert} /></Suspense>}
      <div class={css.composerRow}>
        <IconButton label={t("composer.emoji")} icon="smile" aria-expanded={hasEmoji} onClick={() => setEmoji(!hasEmoji)} />
        {mode.kind !== "edit" && <IconButton label={t("composer.attach")} icon="attach" onClick={() => picker.current?.click()} />}
        {mode.kind !== "edit" && <IconButton label={t("poll.new")} icon="poll" disabled={Boolean(noPolls) || isWaiting} title={noPolls ?? t("poll.new")} onClick={() => setPoll(true)} />}
        <input ref={picker} type="file" multiple hidden aria-label={t("composer.attach")} onChange={(event) => { setFiles(acceptFiles(files, event.currentTarget.files ?? [])); event.currentTarget.value = ""; }} />
        <textarea ref={area} rows={1} aria-label={t("composer.text")} placeholder={files.length > 0 ? t("composer.caption") : t("composer.text")} value={text} maxLength={session.value!.server.limits.textMaxChars} onInput={(event) => change(event.currentTarget.value)} onKeyDown={press} onPaste={paste} />
        <button type="submit" class={`${ui.button} ${ui.primary} ${ui.icon} ${css.send}`} aria-label={t("composer.send")} title={t("composer.send")} disabled={isWaiting || (!text.trim() && files.length === 0)}><Icon name="send" /></button>
      </div>
    </form>
    {hasPoll && <Suspense fallback={null}><PollDialog close={() => setPoll(false)} send={(poll) => { conversation.send("", { poll }); onSent(); }} /></Suspense>}
    </>
  );
}
