import { useRef, useState } from "preact/hooks";
import { MAX_CHARS, MAX_OPTIONS, type PollDraft, readPoll, withEmptyLast } from "../../chat/poll_draft";
import { t } from "../../i18n";
import { Button, Checkbox, Field, ui } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import css from "./chats.module.css";

export default function PollDialog({ send, close }: { send: (poll: PollDraft) => void; close: () => void }) {
  const [name, setName] = useState("");
  const [options, setOptions] = useState(["", ""]);
  const [isMultiple, setMultiple] = useState(false);
  const [error, setError] = useState<"tooFew" | "repeated">();
  const answers = useRef<HTMLFieldSetElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const poll = readPoll(name, options, isMultiple);
    if (typeof poll !== "string") {
      send(poll);
      close();
      return;
    }
    setError(poll);
    [...(answers.current?.querySelectorAll("input") ?? [])].find((input) => !input.value.trim())?.focus();
  };
  const change = (at: number, value: string) => {
    setError(undefined);
    setOptions(withEmptyLast(options.with(at, value)));
  };
  return (
    <Dialog title={t("poll.new")} onClose={close}>
      <form class={ui.stack} onSubmit={submit}>
        <Field label={t("poll.question")}>{(field) => <input {...field} required autoFocus maxLength={MAX_CHARS} pattern=".*\S.*" value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <fieldset ref={answers} class={css.answers} aria-describedby="poll-answers">
          <legend>{t("poll.answers")}</legend>
          {options.map((option, at) => (
            <input key={at} class={ui.input} aria-label={t("poll.answer", { n: at + 1 })} placeholder={t("poll.answer", { n: at + 1 })} aria-invalid={error ? true : undefined} maxLength={MAX_CHARS} value={option} onInput={(event) => change(at, event.currentTarget.value)} />
          ))}
          <span id="poll-answers" class={error ? ui.fieldError : ui.hint} role={error ? "alert" : undefined}>{error ? t(`poll.${error}`) : t("poll.answersHint", { n: MAX_OPTIONS })}</span>
        </fieldset>
        <Checkbox label={t("poll.allowSeveral")} checked={isMultiple} onChange={() => setMultiple(!isMultiple)} />
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" icon="send">{t("poll.send")}</Button></div>
      </form>
    </Dialog>
  );
}
