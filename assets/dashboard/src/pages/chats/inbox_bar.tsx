import { useState } from "preact/hooks";
import { api, data, type Schemas } from "../../api/client";
import { allows } from "../../api/session";
import type { Inbox } from "../../chat/inbox";
import { t } from "../../i18n";
import { useLoad } from "../../lib/hooks";
import { Button, Failure, Field, Loading, Name, ui } from "../../ui/basics";
import { attempt, Dialog } from "../../ui/dialog";
import css from "./inbox.module.css";

type Operator = Schemas["Operator"];
const NOBODY = "";
const NOTE_MAX_CHARS = 4096;

function AssignDialog({ inbox, close }: { inbox: Inbox; close: () => void }) {
  const { data: page, error: notLoaded } = useLoad(() => data(api.GET("/api/v1/operators", { params: { query: { limit: 100 } } })), "operators");
  const assignee = inbox.conversation.value?.assignee;
  const [chosen, setChosen] = useState<string>();
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const current = page?.operators.find((operator) => assignee && operator.id.endsWith(`:${assignee.id}`))?.id ?? NOBODY;
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await inbox.assign((chosen ?? current) || null);
      close();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("inbox.assign")} onClose={close}>
      {notLoaded ? <Failure error={notLoaded} /> : !page ? <Loading /> : (
        <form class={ui.stack} onSubmit={submit}>
          <Field label={t("inbox.assignee")}>
            {(field) => (
              <select {...field} autoFocus value={chosen ?? current} onChange={(event) => setChosen(event.currentTarget.value)}>
                <option value={NOBODY}>{t("inbox.nobody")}</option>
                {page.operators.map((operator: Operator) => <option key={operator.id} value={operator.id}>{operator.displayName} ({operator.id})</option>)}
              </select>
            )}
          </Field>
          {error !== null && <Failure error={error} />}
          <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{t("inbox.assign")}</Button></div>
        </form>
      )}
    </Dialog>
  );
}

function NoteDialog({ inbox, close }: { inbox: Inbox; close: () => void }) {
  const [content, setContent] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await inbox.addNote(content);
      close();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("inbox.note")} onClose={close}>
      <form class={ui.stack} onSubmit={submit}>
        <Field label={t("inbox.noteText")} hint={t("inbox.noteHint")}>
          {(field) => <textarea {...field} rows={4} required autoFocus maxLength={NOTE_MAX_CHARS} value={content} onInput={(event) => setContent(event.currentTarget.value)} />}
        </Field>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{t("inbox.addNote")}</Button></div>
      </form>
    </Dialog>
  );
}

/** The assignee and the state of a chat of an inbox, with its actions. */
export function InboxBar({ inbox }: { inbox: Inbox }) {
  const [dialog, setDialog] = useState<"assign" | "note">();
  const [isBusy, setBusy] = useState(false);
  const conversation = inbox.conversation.value;
  if (!conversation) return null;
  const isOpen = conversation.state === "open";
  const toggle = async () => {
    setBusy(true);
    await attempt(() => inbox.setOpen(!isOpen));
    setBusy(false);
  };
  return (
    <div class={css.bar} role="group" aria-label={t("inbox.title")} data-state={conversation.state}>
      <span class={css.state}>{isOpen ? t("inbox.open") : t("inbox.closed")}</span>
      <span class={css.assignee}>{conversation.assignee ? <>{t("inbox.assignedTo")} <Name>{conversation.assignee.displayName}</Name></> : t("inbox.unassigned")}</span>
      {allows("chat:write") && (
        <span class={css.actions}>
          <Button size="small" icon="edit" onClick={() => setDialog("note")}>{t("inbox.note")}</Button>
          <Button size="small" icon="person" onClick={() => setDialog("assign")}>{t("inbox.assign")}</Button>
          <Button size="small" icon={isOpen ? "check" : "refresh"} busy={isBusy} onClick={() => void toggle()}>{isOpen ? t("inbox.close") : t("inbox.reopen")}</Button>
        </span>
      )}
      {dialog === "assign" && <AssignDialog inbox={inbox} close={() => setDialog(undefined)} />}
      {dialog === "note" && <NoteDialog inbox={inbox} close={() => setDialog(undefined)} />}
    </div>
  );
}
