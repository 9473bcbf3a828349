import { useState } from "preact/hooks";
import { api, ApiFailure, data, type Schemas } from "../api/client";
import { allows } from "../api/session";
import { ago, clockTime, number, t, tMaybe, tn } from "../i18n";
import { useLoad, usePolling } from "../lib/hooks";
import { Badge, Button, Card, Empty, Failure, Field, Loading, Name, Page, ui } from "../ui/basics";
import { confirmThen, Dialog, toast } from "../ui/dialog";
import css from "./pages.module.css";

type DeviceQueue = Schemas["DeviceQueue"];
type Config = Schemas["ConfigRequest"];
const REFRESH_MS = 3000;
const FIELDS = ["messagesPerMinute", "burstLimit", "minDelay", "maxDelay", "messagesPerDay", "newChatsPerDay"] as const;

const heldWords = (held: NonNullable<DeviceQueue["heldBy"]>): string => {
  const words = tMaybe(`held.${held.reason}`) ?? held.reason;
  return held.until ? t("held.until", { words, time: clockTime(held.until) }) : words;
};

function Pace({ queue, close, done }: { queue: DeviceQueue; close: () => void; done: () => void }) {
  const [values, setValues] = useState<Record<string, string>>(() => Object.fromEntries(FIELDS.map((name) => [name, String(queue.config[name])])));
  const [quiet, setQuiet] = useState({ from: queue.config.quietHours?.from ?? "", to: queue.config.quietHours?.to ?? "" });
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const refused = (name: string) => (error instanceof ApiFailure ? error.field(name) : undefined);
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const changed: Config = { deviceIds: [queue.deviceId] };
    for (const name of FIELDS) if (values[name] !== String(queue.config[name])) changed[name] = Number(values[name]);
    const old = queue.config.quietHours;
    if (quiet.from && quiet.to && (quiet.from !== old?.from || quiet.to !== old?.to)) changed.quietHours = { ...quiet, timeZone: old?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone };
    if (!quiet.from && !quiet.to && old) changed.quietHours = false as never;
    try {
      await data(api.PUT("/api/v1/queue/config", { body: changed }));
      toast(t("queue.saved"));
      done();
      close();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("queue.paceOf", { name: queue.name })} onClose={close}>
      <form class={ui.stack} onSubmit={save}>
        <div class={css.form}>
          {FIELDS.map((name) => (
            <Field key={name} label={t(`pace.${name}`)} error={refused(name)}>
              {(field) => <input {...field} type="number" min={0} required value={values[name] ?? ""} onInput={(event) => { const { value } = event.currentTarget; setValues((before) => ({ ...before, [name]: value })); }} />}
            </Field>
          ))}
          <Field label={t("pace.quietFrom")} error={refused("quietHours")}>{(field) => <input {...field} type="time" value={quiet.from} onInput={(event) => setQuiet({ ...quiet, from: event.currentTarget.value })} />}</Field>
          <Field label={t("pace.quietTo")}>{(field) => <input {...field} type="time" value={quiet.to} onInput={(event) => setQuiet({ ...quiet, to: event.currentTarget.value })} />}</Field>
        </div>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{t("action.save")}</Button></div>
      </form>
    </Dialog>
  );
}

function QueueRow({ queue, change, reload }: { queue: DeviceQueue; change: () => void; reload: () => void }) {
  const clear = () => confirmThen({
    title: t("queue.clearTitle", { name: queue.name }), text: t("queue.clearText"), action: t("queue.clear"), isDangerous: true,
    run: async () => {
      const answer = await data(api.POST("/api/v1/queue/clear", { body: { deviceIds: [queue.deviceId] } }));
      toast(tn("queue.cleared", answer.cancelled));
      reload();
    },
  });
  const parts = [
    tn("queue.queued", queue.queuedMessages),
    queue.scheduled > 0 && tn("queue.scheduled", queue.scheduled),
    queue.retrying > 0 && tn("queue.retrying", queue.retrying),
    t("queue.lastMinute", { n: number(queue.messagesInLast60s) }),
    queue.oldest && t("queue.oldest", { when: ago(queue.oldest) }),
  ].filter(Boolean);
  const { config } = queue;
  return (
    <li class={ui.listRow}>
      <span class={ui.grow}>
        <strong><Name>{queue.name}</Name></strong><br />
        <span class={`${ui.muted} ${ui.smallText}`}>{parts.join(" · ")}</span><br />
        <span class={`${ui.muted} ${ui.smallText}`}>{config.messagesPerMinute > 0 ? t("queue.pace", { n: number(config.messagesPerMinute) }) : t("queue.noPace")}{config.quietHours && ` · ${t("queue.quiet", { from: config.quietHours.from, to: config.quietHours.to })}`}{queue.warmupPhase && ` · ${t("queue.warmup", { phase: queue.warmupPhase })}`}</span>
      </span>
      {queue.heldBy ? <Badge tone="warn">{heldWords(queue.heldBy)}</Badge> : queue.queuedMessages > 0 ? <Badge tone="info">{t("queue.sending")}</Badge> : null}
      {allows("devices:write") && (
        <span class={ui.row}>
          <Button size="small" onClick={change}>{t("queue.changePace")}</Button>
          {queue.queuedMessages > 0 && <Button size="small" variant="danger" onClick={clear}>{t("queue.clear")}</Button>}
        </span>
      )}
    </li>
  );
}

export function Queue() {
  const { data: fleet, error, reload } = useLoad(() => data(api.GET("/api/v1/queue/status")), "queue");
  const [changed, setChanged] = useState<DeviceQueue | null>(null);
  usePolling(reload, REFRESH_MS);
  return (
    <Page title={t("nav.queue")} subtitle={t("queue.text")}>
      {error ? <Failure error={error} retry={reload} /> : null}
      {!fleet ? !error && <Loading /> : fleet.devices.length === 0 ? <Card flush><Empty icon="queue" title={t("queue.empty")} /></Card> : (
        <>
          <div class={css.tiles}>
            {(["queuedMessages", "scheduled", "retrying", "messagesInLast60s"] as const).map((name) => (
              <div key={name} class={css.tile}><span class={css.tileLabel}>{t(`queueTotal.${name}`)}</span><span class={css.tileValue}>{number(fleet.totals[name])}</span></div>
            ))}
          </div>
          <Card flush><ul class={ui.list}>{fleet.devices.map((queue) => <QueueRow key={queue.deviceId} queue={queue} change={() => setChanged(queue)} reload={reload} />)}</ul></Card>
        </>
      )}
      {changed && <Pace queue={changed} close={() => setChanged(null)} done={reload} />}
    </Page>
  );
}
