import { useRef, useState } from "preact/hooks";
import { api, data } from "../api/client";
import { devices } from "../api/fleet";
import { allows } from "../api/session";
import { clockTime, dateName, number, t, tMaybe, tn } from "../i18n";
import { healthName, healthTone, linkingAdvice, reasonWords, stateName } from "../lib/device_words";
import { useLoad, usePolling } from "../lib/hooks";
import { href } from "../lib/router";
import { Badge, Button, Card, Empty, Failure, LinkButton, Loading, Name, Page, ui } from "../ui/basics";
import { BarChart } from "../ui/bar_chart";
import { type Hour, spansOf } from "./activity";
import css from "./pages.module.css";

const REFRESH_MS = 10_000;

function Tile({ label, value, note, to }: { label: string; value: string; note?: string; to?: string }) {
  const content = <><span class={css.tileLabel}>{label}</span><span class={css.tileValue}>{value}</span>{note && <span class={css.tileNote}>{note}</span>}</>;
  return to ? <a class={css.tile} href={to}>{content}</a> : <div class={css.tile}>{content}</div>;
}

/** Bars with their numbers as text beside them, so that they need no separate table. */
function States({ byState, total }: { byState: Record<string, number>; total: number }) {
  const rows = Object.entries(byState).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  return (
    <ul class={css.bars}>
      {rows.map(([state, count]) => (
        <li key={state} class={css.barRow}><span>{stateName(state as never)}</span><progress max={Math.max(1, total)} value={count} aria-label={stateName(state as never)} /><strong>{number(count)}</strong></li>
      ))}
    </ul>
  );
}

function Attention() {
  const { data: list, error, reload } = useLoad(() => data(api.GET("/api/v1/health/attention")), "attention");
  usePolling(reload, REFRESH_MS);
  if (error) return <Failure error={error} retry={reload} />;
  return (
    <Card title={t("overview.attention")} flush>
      {!list ? <Loading /> : list.length === 0 ? <Empty icon="check" title={t("overview.allWell")}>{t("overview.allWellText")}</Empty> : (
        <ul class={ui.list}>
          {list.slice(0, 50).map((item) => {
            const device = devices.value?.get(item.deviceId);
            const reason = item.state === "ready" ? undefined : reasonWords(device?.reason);
            const warnings = linkingAdvice(item.state) ?? item.warnings.map((warning) => warning.message).join(" ");
            return (
              <li key={item.deviceId} class={ui.listRow}>
                <span class={ui.grow}>
                  <a href={href("devices", item.deviceId)}><Name>{item.name}</Name></a>
                  <br /><span class={`${ui.muted} ${ui.smallText}`}>{reason ? `${reason.what} ${reason.todo}` : warnings || stateName(item.state)}</span>
                </span>
                <Badge tone={healthTone(item.status)}>{healthName(item.status)}</Badge>
              </li>
            );
          })}
        </ul>
      )}
    </Card>
  );
}

function Queues() {
  const { data: fleet, error, reload } = useLoad(() => data(api.GET("/api/v1/queue/status")), "queue");
  usePolling(reload, REFRESH_MS);
  if (error) return <Failure error={error} retry={reload} />;
  const waiting = fleet?.devices.filter((device) => device.queuedMessages > 0) ?? [];
  return (
    <Card title={t("overview.queues")} flush>
      {!fleet ? <Loading /> : waiting.length === 0 ? <p class={`${ui.cardBody} ${ui.muted}`}>{t("overview.queuesEmpty")}</p> : (
        <ul class={ui.list}>
          {waiting.slice(0, 20).map((device) => (
            <li key={device.deviceId} class={ui.listRow}>
              <span class={ui.grow}><Name>{device.name}</Name>{device.heldBy && <><br /><span class={`${ui.muted} ${ui.smallText}`}>{tMaybe(`held.${device.heldBy.reason}`) ?? device.heldBy.reason}</span></>}</span>
              <strong>{number(device.queuedMessages)}</strong>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function FailingWebhooks() {
  const { data: list, error, reload } = useLoad(() => data(api.GET("/api/v1/webhooks")), "webhooks");
  const failing = list?.filter((webhook) => webhook.failingSince || webhook.deadLetters > 0 || webhook.disabledReason === "gone" || webhook.disabledReason === "failing") ?? [];
  if (error) return <Failure error={error} retry={reload} />;
  return (
    <Card title={t("overview.webhooks")} flush>
      {!list ? <Loading /> : failing.length === 0 ? <p class={`${ui.cardBody} ${ui.muted}`}>{t("overview.webhooksWell")}</p> : (
        <ul class={ui.list}>
          {failing.map((webhook) => <li key={webhook.id} class={ui.listRow}><a class={ui.grow} href={href("webhooks", webhook.id)}><Name>{webhook.name || webhook.url}</Name></a><Badge tone="bad">{!webhook.enabled ? t("webhook.disabled") : webhook.deadLetters > 0 ? tn("webhook.dead", webhook.deadLetters) : t("overview.failing")}</Badge></li>)}
        </ul>
      )}
    </Card>
  );
}

const RANGES = { day: 24, week: 7 * 24, month: 30 * 24 } as const;
type Range = keyof typeof RANGES;

/** Messages and disconnections, by hour for a day and by day for more. */
function Activity() {
  const [range, setRange] = useState<Range>("day");
  const { data: hours, error, reload } = useLoad(() => data(api.GET("/api/v1/stats/history", { params: { query: { hours: RANGES[range] } } })), range);
  usePolling(reload, REFRESH_MS);
  // The charts of the previous period stay until the next ones are loaded.
  const loaded = useRef<{ hours: Hour[]; isByDay: boolean } | null>(null);
  if (hours) loaded.current = { hours, isByDay: range !== "day" };
  const isByDay = loaded.current?.isByDay ?? false;
  const spans = spansOf(loaded.current?.hours ?? [], isByDay);
  const labels = spans.map(({ hour }) => (isByDay ? dateName(hour) : clockTime(hour)));
  const values = (name: "received" | "sent" | "failed" | "disconnections") => spans.map((span) => span[name]);
  return (
    <section class={ui.stack} aria-labelledby="activity">
      <div class={ui.row}>
        <h2 id="activity" class={ui.grow}>{t("activity.title")}</h2>
        <div class={css.tabs} role="group" aria-label={t("activity.range")}>
          {(Object.keys(RANGES) as Range[]).map((name) => <Button key={name} size="small" aria-pressed={range === name} onClick={() => setRange(name)}>{t(`activity.${name}`)}</Button>)}
        </div>
      </div>
      {error ? <Failure error={error} retry={reload} /> : !loaded.current ? <Card><Loading /></Card> : (
        <div class={css.charts}>
          <BarChart title={isByDay ? t("activity.messagesByDay") : t("activity.messagesByHour")} labels={labels}
            series={[{ name: t("overview.received"), tone: "accent", values: values("received") }, { name: t("overview.sent"), tone: "info", values: values("sent") }, { name: t("activity.failed"), tone: "bad", values: values("failed") }]}
            columns={[{ name: t("metric.responseTime"), values: spans.map(({ responseMs }) => (responseMs === undefined ? "–" : t("metric.milliseconds", { n: number(Math.round(responseMs)) }))) }]} />
          <BarChart title={t("metric.disconnections")} labels={labels} series={[{ name: t("metric.disconnections"), tone: "bad", values: values("disconnections") }]} />
        </div>
      )}
    </section>
  );
}

export function Overview() {
  const { data: stats, error, reload } = useLoad(() => data(api.GET("/api/v1/stats")), "stats");
  usePolling(reload, REFRESH_MS);
  if (error) return <Page title={t("nav.overview")}><Failure error={error} retry={reload} /></Page>;
  if (!stats) return <Loading />;
  const byState = stats.devicesByState as Record<string, number>;
  if (stats.devices === 0) {
    return (
      <Page title={t("nav.overview")}>
        <Card flush><Empty icon="devices" title={t("devices.emptyTitle")} action={allows("devices:write") && <LinkButton variant="primary" icon="plus" to={href("devices", "new")}>{t("devices.link")}</LinkButton>}>{t("devices.emptyText")}</Empty></Card>
      </Page>
    );
  }
  return (
    <Page title={t("nav.overview")}>
      <div class={css.tiles}>
        <Tile label={t("overview.connected")} value={number(byState.ready ?? 0)} note={t("overview.ofDevices", { n: number(stats.devices) })} to={href("devices")} />
        <Tile label={t("overview.received")} value={number(stats.messagesToday.received)} note={t("overview.today")} />
        <Tile label={t("overview.sent")} value={number(stats.messagesToday.sent)} note={t("overview.today")} />
        <Tile label={t("overview.waiting")} value={number(stats.queuedMessages)} note={t("overview.waitingNote")} to={href("queue")} />
      </div>
      <Activity />
      <div class={css.split}>
        <div class={ui.stack}><Attention /><Queues /></div>
        <div class={ui.stack}><Card title={t("overview.states")}><States byState={byState} total={stats.devices} /></Card><FailingWebhooks /></div>
      </div>
    </Page>
  );
}
