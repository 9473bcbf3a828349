import { useEffect, useState } from "preact/hooks";
import { api, data, type Schemas } from "../../api/client";
import { type Device, devices, loadDevice } from "../../api/fleet";
import { waitsForPasskey } from "../../api/passkey";
import { allows, capability, serverNow, session } from "../../api/session";
import { connect } from "../../api/socket";
import { number, t, tn } from "../../i18n";
import { basePath } from "../../lib/base";
import { startDevice } from "../../lib/device_actions";
import { phone, reasonWords, stateName, stateTone } from "../../lib/device_words";
import { useNow, usePolling } from "../../lib/hooks";
import { href, route } from "../../lib/router";
import { Badge, Button, Card, CopyButton, Empty, Failure, Field, LinkButton, Loading, Name, Notice, Page, ui } from "../../ui/basics";
import { attempt } from "../../ui/dialog";
import css from "./devices.module.css";
import { Passkey } from "./passkey";

type Code = Schemas["QrCode"];
const POLL_MS = 2000;
const MAX_CODES = 6;

/** The current code, renewed by `qr` events and by polling. */
function useCode(device: Device): Code | undefined {
  const [code, setCode] = useState<Code>();
  const load = () => {
    if (device.state !== "qr") return;
    data(api.GET("/api/v1/devices/{id}/qr", { params: { path: { id: device.id } } })).then(setCode, () => setCode(undefined));
  };
  useEffect(load, [device.id, device.state]);
  usePolling(load, POLL_MS);
  return device.state === "qr" ? code : undefined;
}

interface Progress {
  done: number;
  total?: number;
}

interface Linking {
  progress?: Progress;
  /** Counts the events about the passkey. */
  passkeyRound: number;
  /** Why the last passkey attempt failed, until the next one. */
  passkeyError?: string;
}

/** Follows the device while the page is open: its state, the passkey, and the history's progress after linking. */
function useLinking(id: string): Linking {
  const [linking, setLinking] = useState<Linking>({ passkeyRound: 0 });
  useEffect(() => {
    if (!allows("events:read")) return undefined;
    const connection = connect(`/device/${id}`, {
      onConnection: () => undefined,
      onEvent: (event) => {
        const isPasskey = event.type.startsWith("passkey:");
        if (isPasskey || ["state", "qr", "ready", "authenticated"].includes(event.type)) void loadDevice(id).catch(() => undefined);
        const { done, total, reason } = event.payload;
        if (isPasskey) setLinking((old) => ({ ...old, passkeyRound: old.passkeyRound + 1, passkeyError: event.type === "passkey:error" && typeof reason === "string" ? reason : undefined }));
        if (event.type === "history:progress" && typeof done === "number") setLinking((old) => ({ ...old, progress: { done, total: typeof total === "number" ? total : undefined } }));
      },
    });
    return connection.close;
  }, [id]);
  usePolling(() => void loadDevice(id).catch(() => undefined), POLL_MS);
  return linking;
}

function QrCode({ device, code }: { device: Device; code: Code | undefined }) {
  const now = useNow(serverNow, 500);
  const left = code ? Math.max(0, code.expiresAt - now) : 0;
  const seconds = Math.ceil(left / 1000);
  const full = code?.attempt === 1 ? 60_000 : 20_000;
  return (
    <div class={css.qr}>
      <div class={css.qrFrame} data-stale={left === 0}>
        {code ? <img src={`${basePath}/api/v1/devices/${encodeURIComponent(device.id)}/qr.svg?attempt=${code.attempt}&at=${code.expiresAt}`} alt={t("link.qrAlt")} width="280" height="280" /> : <span class={ui.spinner} aria-hidden="true" />}
      </div>
      <progress class={css.progress} max={full} value={Math.min(left, full)} aria-label={t("link.timeLeft")} />
      <p class={`${ui.muted} ${ui.smallText}`} data-countdown={seconds}>
        {code ? <>{tn("link.expires", seconds)} · {t("link.attempt", { at: number(code.attempt), of: number(MAX_CODES) })}</> : t("link.preparing")}
      </p>
    </div>
  );
}

function PairingCode({ device }: { device: Device }) {
  const [number_, setNumber] = useState("");
  const [code, setCode] = useState<Schemas["PairingCode"]>();
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const now = useNow(serverNow);
  const request = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      setCode(await data(api.POST("/api/v1/devices/{id}/pairing-code", { params: { path: { id: device.id } }, body: { phoneNumber: number_ } })));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <details>
      <summary>{t("link.withCode")}</summary>
      <form class={ui.stack} onSubmit={request}>
        <p class={ui.muted}>{t("link.withCodeText")}</p>
        <div class={css.inline}>
          <Field label={t("link.phoneNumber")}>
            {(field) => <input {...field} type="tel" required placeholder="+1 555 010 0000" autocomplete="off" value={number_} onInput={(event) => setNumber(event.currentTarget.value)} />}
          </Field>
          <Button type="submit" busy={isBusy}>{t("link.getCode")}</Button>
        </div>
        {error !== null && <Failure error={error} />}
        {code && (
          <div class={ui.row} role="status">
            <span class={css.code}>{code.code}</span><CopyButton text={code.code} />
            <span class={ui.muted}>{code.expiresAt > now ? tn("link.expires", Math.ceil((code.expiresAt - now) / 1000)) : t("link.codeExpired")}</span>
          </div>
        )}
      </form>
    </details>
  );
}

/** Lets the simulated phone scan: what a person does with a real phone. */
function SimulatedScan({ device }: { device: Device }) {
  if (device.engine !== "simulator" || !session.value?.server.simulator || !allows("admin")) return null;
  const scan = () => attempt(() => data(api.POST("/api/v1/simulator/{id}/{call}", { params: { path: { id: device.id, call: "scan" } }, body: {} })));
  return (
    <Notice tone="info" action={<Button variant="primary" size="small" onClick={scan}>{t("link.scan")}</Button>}>
      <strong>{t("link.simulated")}</strong><span class={ui.noticeMeta}>{t("link.simulatedText")}</span>
    </Notice>
  );
}

function Waiting({ device, passkeyError }: { device: Device; passkeyError: string | undefined }) {
  const code = useCode(device);
  const failed = reasonWords(passkeyError);
  return (
    <div class={css.linkCard}>
      <QrCode device={device} code={code} />
      <div class={ui.stack}>
        {failed && <Notice tone="warn"><strong>{failed.what}</strong><span>{failed.todo}</span></Notice>}
        <h2>{t("link.how")}</h2>
        <ol class={css.steps}><li>{t("link.step1")}</li><li>{t("link.step2")}</li><li>{t("link.step3")}</li></ol>
        <SimulatedScan device={device} />
        {allows("devices:write") && capability(device.engine, "pairingCode") && <div class={css.alternatives}><PairingCode device={device} /></div>}
      </div>
    </div>
  );
}

function Linked({ device, progress }: { device: Device; progress: Progress | undefined }) {
  return (
    <Empty icon="check" title={t("link.doneTitle")} action={
      <div class={ui.row}>
        {allows("messages:read") && <LinkButton to={href("devices", device.id, "chats")} variant="primary" icon="chats">{t("link.openChats")}</LinkButton>}
        <LinkButton to={href("devices", device.id)}>{t("link.openDevice")}</LinkButton>
      </div>
    }>
      {t("link.doneText", { phone: phone(device.phoneNumber) })}
      {progress && <><br />{progress.total ? t("link.history", { done: number(progress.done), total: number(progress.total) }) : t("link.historyOpen", { done: number(progress.done) })}</>}
    </Empty>
  );
}

function Stopped({ device, passkeyError }: { device: Device; passkeyError: string | undefined }) {
  const [isBusy, setBusy] = useState(false);
  const code = device.reason ?? passkeyError;
  const reason = reasonWords(code);
  const start = async () => {
    setBusy(true);
    await attempt(() => startDevice(device.id));
    setBusy(false);
  };
  const label = code === "qr_codes_exhausted" ? t("link.newCodes") : code?.startsWith("passkey_") ? t("passkey.newCode") : t("device.start");
  return (
    <Empty icon={device.state === "failed" ? "warning" : "devices"} title={reason?.what ?? t("link.notRunning")} action={allows("devices:write") && <Button variant="primary" busy={isBusy} onClick={start}>{label}</Button>}>
      {reason?.todo ?? t("link.startText")}
    </Empty>
  );
}

export function LinkPage() {
  const id = route.value[1]!;
  const { progress, passkeyRound, passkeyError } = useLinking(id);
  const device = devices.value?.get(id);
  if (!devices.value) return <Loading />;
  if (!device) return <Empty icon="devices" title={t("device.unknown")} action={<a href={href("devices")}>{t("device.all")}</a>} />;
  const isOff = ["created", "stopped", "logged_out", "failed"].includes(device.state);
  const isPasskey = waitsForPasskey(device);
  return (
    <Page title={<>{t("link.title")} <Name>{device.name}</Name></>} actions={<Badge tone={stateTone(device.state)}>{stateName(device.state)}</Badge>}>
      <p class="visually-hidden" role="status">{isPasskey ? t("passkey.title") : ""}</p>
      <Card flush>
        {device.state === "ready" ? <Linked device={device} progress={progress} /> : device.state === "qr" ? <Waiting device={device} passkeyError={passkeyError} /> : isPasskey ? <Passkey device={device} round={passkeyRound} /> : isOff ? <Stopped device={device} passkeyError={passkeyError} /> : (
          <div class={ui.loading} role="status"><span class={ui.spinner} aria-hidden="true" />{device.state === "pairing" ? t("link.finishing") : t("link.connecting")}</div>
        )}
      </Card>
    </Page>
  );
}
