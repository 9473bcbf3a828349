import { useState } from "preact/hooks";
import { api, ApiFailure, data, type Schemas } from "../../api/client";
import { t, tn } from "../../i18n";
import { href } from "../../lib/router";
import { Button, Failure, Field, LinkButton, ui } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

type Report = Schemas["ImportReport"];

function Done({ report, deviceId, close }: { report: Report; deviceId: string; close: () => void }) {
  return (
    <div class={ui.stack} role="status">
      <p>{tn("import.imported", report.imported)} {tn("import.skipped", report.skipped)}</p>
      {report.systemLines > 0 && <p class={ui.muted}>{tn("import.systemLines", report.systemLines)}</p>}
      <div class={ui.actions} onClick={close}><LinkButton to={href("devices", deviceId, "chats", report.chatId)} variant="primary">{t("import.open")}</LinkButton></div>
    </div>
  );
}

/** Imports an export of Wharf or of a phone, and shows the report. */
export function ImportDialog({ deviceId, close, done }: { deviceId: string; close: () => void; done: () => void }) {
  const [file, setFile] = useState<File>();
  const [chatId, setChatId] = useState("");
  const [me, setMe] = useState("");
  const [report, setReport] = useState<Report>();
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const isOfPhone = file !== undefined && !file.name.toLowerCase().endsWith(".json");
  const refused = (name: string) => (error instanceof ApiFailure ? error.field(name) : undefined);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const query = isOfPhone ? { chatId, me: me || undefined, tz: Intl.DateTimeFormat().resolvedOptions().timeZone } : {};
    try {
      setReport(await data(api.POST("/api/v1/devices/{id}/chats/import", { params: { path: { id: deviceId }, query }, body: file as never, bodySerializer: (body) => body as unknown as File, headers: { "Content-Type": "application/octet-stream" } })));
      done();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("import.title")} onClose={close}>
      {report ? <Done report={report} deviceId={deviceId} close={close} /> : (
        <form class={ui.stack} onSubmit={send}>
          <p class={ui.muted}>{t("import.text")}</p>
          <Field label={t("import.file")}>{(field) => <input {...field} type="file" required accept=".json,.txt,.zip" onChange={(event) => setFile(event.currentTarget.files?.[0])} />}</Field>
          {isOfPhone && <Field label={t("import.chat")} hint={t("import.chatHint")} error={refused("chatId")}>{(field) => <input {...field} required autocomplete="off" value={chatId} onInput={(event) => setChatId(event.currentTarget.value)} />}</Field>}
          {isOfPhone && <Field label={t("import.me")} hint={t("import.meHint")} error={refused("me")}>{(field) => <input {...field} value={me} onInput={(event) => setMe(event.currentTarget.value)} />}</Field>}
          {error !== null && <Failure error={error} />}
          <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy} disabled={!file}>{t("import.action")}</Button></div>
        </form>
      )}
    </Dialog>
  );
}
