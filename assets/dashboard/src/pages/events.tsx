import { useEffect, useRef, useState } from "preact/hooks";
import { api, body } from "../api/client";
import { deviceList, onFleetEvent, tailAll } from "../api/fleet";
import { allows, session } from "../api/session";
import { connect, type LiveEvent } from "../api/socket";
import { clockTime, number, t } from "../i18n";
import { usePolling } from "../lib/hooks";
import { moveFocus } from "../lib/list_keys";
import { readableId, visible } from "../lib/text";
import { Button, Card, Empty, Failure, Field, Page, ui } from "../ui/basics";
import { toast } from "../ui/dialog";
import css from "./pages.module.css";

const KEPT = 500;
const SHOWN = 200;
const POLL_MS = 3000;
const PAGE = 100;
const ALL = "*";

interface Shown extends LiveEvent {
  key: string;
}

/** One word about an event: its chat, state or sender. */
function hint(event: LiveEvent): string {
  const { payload } = event;
  const message = payload.message as { chatId?: string } | undefined;
  const word = payload.state ?? payload.chatId ?? message?.chatId ?? payload.title ?? payload.phoneNumber ?? "";
  return typeof word === "string" ? visible(readableId(word)) : "";
}

/** The payload as JSON, without codes that link a device. */
function payloadText(event: LiveEvent): string {
  const { qr, ...rest } = event.payload;
  return JSON.stringify(qr === undefined ? rest : { ...rest, qr: "…" }, null, 2);
}

/** The live events of one device, from its log's end on, or of all devices. */
function useTail(deviceId: string, isPaused: boolean): { events: Shown[]; error: unknown; goTo: (seq: number) => Promise<void> } {
  const [events, setEvents] = useState<Shown[]>([]);
  const [error, setError] = useState<unknown>(null);
  const after = useRef<number | undefined>(undefined);
  const paused = useRef(isPaused);
  const isLive = useRef(false);
  paused.current = isPaused;
  const add = (added: LiveEvent[]) => {
    const fresh = added.filter((event) => event.type !== "message-ack").map((event) => ({ ...event, key: `${event.deviceId} ${event.seq ?? `${event.type} ${event.timestamp} ${Math.random()}`}` }));
    if (fresh.length > 0) setEvents((old) => [...fresh.reverse(), ...old.filter((known) => !fresh.some((event) => event.key === known.key))].slice(0, KEPT));
  };
  const read = async (from: number | undefined, limit = PAGE) => {
    const page = await body(api.GET("/api/v1/devices/{id}/events", { params: { path: { id: deviceId }, query: { after: from, limit } }, parseAs: "json" }));
    if (typeof page === "string") return { events: [], newest: 0 };
    return { events: page.data.map((entry): LiveEvent => ({ type: entry.type, seq: entry.seq, timestamp: entry.timestamp, deviceId, payload: entry.payload as Record<string, unknown> })), newest: page.newestSeq, next: page.nextAfter };
  };
  const poll = async () => {
    if (paused.current || isLive.current || !deviceId || deviceId === ALL) return;
    try {
      if (after.current === undefined) {
        const { newest } = await read(0, 1);
        after.current = Math.max(0, newest - PAGE);
      }
      const page = await read(after.current);
      after.current = page.next ?? after.current;
      add(page.events);
      setError(null);
    } catch (failure) {
      setError(failure);
    }
  };
  useEffect(() => {
    setEvents([]);
    setError(null);
    after.current = undefined;
    isLive.current = false;
    if (!deviceId) return undefined;
    if (deviceId === ALL) {
      const untail = tailAll();
      const stop = onFleetEvent((event) => paused.current || add([event]));
      return () => {
        stop();
        untail();
      };
    }
    void poll();
    const connection = connect(`/device/${deviceId}`, {
      onConnection: (isConnected) => {
        isLive.current = isConnected;
        if (!isConnected) after.current = undefined;
      },
      onEvent: (event) => paused.current || add([event]),
    });
    return connection.close;
  }, [deviceId]);
  usePolling(() => void poll(), POLL_MS);
  const goTo = async (seq: number) => {
    try {
      add((await read(Math.max(0, seq - 1))).events);
    } catch (failure) {
      setError(failure);
    }
  };
  return { events, error, goTo };
}

export function Events() {
  const known = deviceList.value.length > 0 ? deviceList.value.map(({ id, name }) => ({ id, name })) : (session.value?.key.devices ?? []).map((id) => ({ id, name: id }));
  const [chosen, setDevice] = useState("");
  const device = chosen || known[0]?.id || "";
  const [filter, setFilter] = useState("");
  const [isPaused, setPaused] = useState(false);
  const [seq, setSeq] = useState("");
  const { events, error, goTo } = useTail(device, isPaused);
  const words = filter.trim().toLowerCase();
  const start = Number(seq);
  const shown = events.filter((event) => (!words || event.type.toLowerCase().includes(words)) && (!seq || (event.seq ?? 0) >= start)).slice(0, SHOWN);
  const jump = async (event: Event) => {
    event.preventDefault();
    if (!Number.isInteger(start) || start < 1) {
      toast(t("events.badSeq"), true);
      return;
    }
    setPaused(true);
    await goTo(start);
  };
  return (
    <Page title={t("nav.events")} subtitle={t("events.text")} actions={<Button icon={isPaused ? "play" : "pause"} onClick={() => { setPaused(!isPaused); setSeq(""); }}>{isPaused ? t("events.resume") : t("events.pause")}</Button>}>
      <form class={css.toolbar} onSubmit={jump}>
        <Field label={t("chats.device")}>
          {(field) => <select {...field} value={device} onChange={(event) => { setDevice(event.currentTarget.value); setSeq(""); }}>{known.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}{allows("devices:read") && <option value={ALL}>{t("webhook.allDevices")}</option>}</select>}
        </Field>
        <Field label={t("events.filter")}>{(field) => <input {...field} type="search" placeholder="message" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />}</Field>
        {device !== ALL && <Field label={t("events.seq")}>{(field) => <input {...field} type="text" inputMode="numeric" value={seq} onInput={(event) => setSeq(event.currentTarget.value)} />}</Field>}
        {device !== ALL && <Button type="submit">{t("events.goTo")}</Button>}
      </form>
      {error ? <Failure error={error} /> : null}
      <Card flush>
        <div onKeyDown={moveFocus}>
        {shown.length === 0 ? <Empty icon="events" title={t("events.emptyTitle")}>{t("events.emptyText")}</Empty> : shown.map((event) => (
          <details key={event.key} class={css.event}>
            <summary data-row><time>{clockTime(event.timestamp)}</time><span class={css.eventName}>{visible(event.type)}</span><bdi class={ui.truncate}>{device === ALL ? `${event.deviceId} ${hint(event)}` : hint(event)}</bdi><span class={ui.muted}>{event.seq === undefined ? t("events.live") : number(event.seq)}</span></summary>
            <pre tabIndex={0}>{visible(payloadText(event))}</pre>
          </details>
        ))}
        </div>
      </Card>
    </Page>
  );
}
