import { useEffect, useRef, useState } from "preact/hooks";
import { ApiFailure } from "../../api/client";
import { type Device, loadDevice } from "../../api/fleet";
import { cancelPasskey, confirmPasskey, createPasskeyTicket, loadPasskeyStep, type PasskeyStep, sendPasskeyResponse } from "../../api/passkey";
import { allows, serverNow } from "../../api/session";
import { duration, t } from "../../i18n";
import { basePath } from "../../lib/base";
import { useLoad, useNow, usePolling } from "../../lib/hooks";
import { consoleScript, passkeyLink, pastedResponse, signingPage } from "../../lib/passkey";
import { Button, CopyButton, Failure, Field, failureText, Loading, Notice, ui } from "../../ui/basics";
import { attempt } from "../../ui/dialog";
import css from "./devices.module.css";

const POLL_MS = 2000;

function TimeLeft({ until }: { until: number }) {
  const left = Math.max(0, until - useNow(serverNow, 500));
  return <p class={`${ui.muted} ${ui.smallText}`} role="timer" data-countdown={Math.ceil(left / 1000)}>{left > 0 ? t("passkey.timeLeft", { time: duration(left) }) : t("passkey.timeOver")}</p>;
}

/** Runs an action on the attempt, then loads the device; a refusal becomes a message. */
function useAction(id: string): [isBusy: boolean, run: (action: () => Promise<unknown>) => Promise<void>] {
  const [isBusy, setBusy] = useState(false);
  const run = async (action: () => Promise<unknown>) => {
    setBusy(true);
    await attempt(async () => {
      await action();
      await loadDevice(id);
    });
    setBusy(false);
  };
  return [isBusy, run];
}

/** Gets a ticket, then opens the page on which the extension signs. */
function WithExtension({ device, step }: { device: Device; step: PasskeyStep }) {
  const [link, setLink] = useState<{ url: string; expiresAt: number }>();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const now = useNow(serverNow);
  const open = async () => {
    setBusy(true);
    setError(null);
    try {
      const { ticket, expiresAt } = await createPasskeyTicket(device.id);
      const url = passkeyLink(step.openUrl, `${location.origin}${basePath}`, device.id, ticket);
      setLink({ url, expiresAt });
      window.open(url, "_blank", "noopener,noreferrer");
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const isUsable = link !== undefined && link.expiresAt > now;
  return (
    <section class={ui.stack} aria-labelledby="passkey-extension">
      <h3 id="passkey-extension">{t("passkey.withExtension")}</h3>
      <p>{t("passkey.extensionText")} <a href={`${basePath}/passkey-extension.zip`} download>{t("passkey.getExtension")}</a></p>
      <div class={ui.row}>
        <Button variant="primary" busy={isBusy} onClick={open}>{t("passkey.open")}</Button>
        {isUsable && <CopyButton text={link.url} label={t("passkey.copyLink")} />}
      </div>
      {error !== null && <Failure error={error} />}
      <div role="status">
        {link && (isUsable
          ? <Notice tone="info"><span>{t("passkey.opened")} <a href={link.url} target="_blank" rel="noopener noreferrer">{t("passkey.openAgain")}</a></span></Notice>
          : <Notice tone="warn">{t("passkey.linkExpired")}</Notice>)}
      </div>
    </section>
  );
}

function WithConsole({ step }: { step: PasskeyStep }) {
  const script = consoleScript(step.options);
  return (
    <details>
      <summary>{t("passkey.withConsole")}</summary>
      <div class={ui.stack}>
        <p>{t("passkey.consoleText")}</p>
        <ol class={css.steps}>
          <li><span>{t("passkey.console1")} <a href={signingPage(step.openUrl)} target="_blank" rel="noopener noreferrer">{new URL(signingPage(step.openUrl)).host}</a></span></li>
          <li>{t("passkey.console2")}</li>
          <li>{t("passkey.console3")}</li>
          <li>{t("passkey.console4")}</li>
        </ol>
        <Field label={t("passkey.script")}>
          {(field) => <textarea {...field} class={`${field.class} ${css.script}`} rows={4} readOnly spellcheck={false} dir="ltr" value={script} onFocus={(event) => event.currentTarget.select()} />}
        </Field>
        <div><CopyButton text={script} label={t("passkey.copyScript")} /></div>
      </div>
    </details>
  );
}

function PastedResponse({ device }: { device: Device }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const [isSent, setSent] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const refuse = (sentence: string) => {
    setError(sentence);
    field.current?.focus();
  };
  const send = async (event: Event) => {
    event.preventDefault();
    setSent(false);
    const response = pastedResponse(text);
    if (!response) return refuse(t("passkey.notJson"));
    setBusy(true);
    setError(undefined);
    try {
      await sendPasskeyResponse(device.id, response);
      setSent(true);
      await loadDevice(device.id);
    } catch (failure) {
      refuse(failureText(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class={ui.stack} onSubmit={send}>
      <Field label={t("passkey.response")} hint={t("passkey.responseHint")} error={error}>
        {(attributes) => <textarea {...attributes} ref={field} class={`${attributes.class} ${css.script}`} rows={4} required spellcheck={false} autocomplete="off" dir="ltr" value={text} onInput={(event) => setText(event.currentTarget.value)} />}
      </Field>
      <div role="status">{isSent && <Notice tone="good">{t("passkey.sent")}</Notice>}</div>
      <div><Button type="submit" busy={isBusy}>{t("passkey.send")}</Button></div>
    </form>
  );
}

function Signature({ device, step }: { device: Device; step: PasskeyStep }) {
  const [isBusy, run] = useAction(device.id);
  return (
    <div class={css.passkey}>
      <div class={ui.stack}>
        <h2>{t("passkey.title")}</h2>
        <p>{t("passkey.text")}</p>
        <p>{t("passkey.phone")}</p>
        <TimeLeft until={step.expiresAt} />
      </div>
      <WithExtension device={device} step={step} />
      <div class={css.alternatives}><WithConsole step={step} /></div>
      <div class={css.alternatives}><PastedResponse device={device} /></div>
      <div><Button variant="danger" busy={isBusy} onClick={() => run(() => cancelPasskey(device.id))}>{t("passkey.cancel")}</Button></div>
    </div>
  );
}

function CodeComparison({ device, step }: { device: Device; step: PasskeyStep }) {
  const [isBusy, run] = useAction(device.id);
  const heading = useRef<HTMLHeadingElement>(null);
  // The element that had the focus is gone.
  useEffect(() => heading.current?.focus(), []);
  return (
    <div class={css.passkey}>
      <h2 ref={heading} tabIndex={-1}>{t("passkey.compare")}</h2>
      {step.code
        ? <><p class={css.code} data-code>{step.code}</p><p>{t("passkey.compareText")}</p></>
        : <p>{t("passkey.noCode")}</p>}
      <TimeLeft until={step.expiresAt} />
      <div class={ui.row}>
        <Button variant="primary" busy={isBusy} onClick={() => run(() => confirmPasskey(device.id, step.code))}>{t("passkey.yes")}</Button>
        <Button variant="danger" busy={isBusy} onClick={() => run(() => cancelPasskey(device.id))}>{t("passkey.no")}</Button>
      </div>
    </div>
  );
}

/** The step between the scan and the link that some accounts need. `round` changes with each event about it. */
export function Passkey({ device, round }: { device: Device; round: number }) {
  const mayWrite = allows("devices:write");
  const { data: step, error, reload } = useLoad(() => (mayWrite ? loadPasskeyStep(device.id) : Promise.resolve(undefined)), device.id);
  useEffect(reload, [round]);
  usePolling(reload, POLL_MS);
  if (!mayWrite) return <div class={css.passkey}><Notice tone="info"><strong>{t("passkey.title")}</strong><span>{t("passkey.needsScope")}</span></Notice></div>;
  // The attempt is over, and the device changes its state.
  const isOver = error instanceof ApiFailure && error.code === "no_passkey_pending";
  if (step && !isOver) return step.stage === "confirmation" ? <CodeComparison device={device} step={step} /> : <Signature key={String(step.options?.challenge)} device={device} step={step} />;
  return error && !isOver ? <Failure error={error} retry={reload} /> : <Loading />;
}
