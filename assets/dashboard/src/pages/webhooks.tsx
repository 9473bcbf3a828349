import { useState } from "preact/hooks";
import { api, ApiFailure, data, body, type Schemas } from "../api/client";
import { deviceList } from "../api/fleet";
import { allows } from "../api/session";
import { ago, moment, number, t, tn } from "../i18n";
import { useLoad } from "../lib/hooks";
import { moveFocus } from "../lib/list_keys";
import { href, navigate, route } from "../lib/router";
import { Badge, Button, Card, Checkbox, Empty, Failure, Field, Loading, Name, Notice, Page, Secret, ui } from "../ui/basics";
import { attempt, confirmThen, Dialog, Menu, toast } from "../ui/dialog";
import css from "./pages.module.css";

type Webhook = Schemas["Webhook"];
/** The events that most receivers need; none chosen means all. */
const EVENTS = ["message", "message:created", "message:status", "message:ack", "message:reaction", "message:edited", "message:revoked", "state", "qr", "ready", "disconnected", "call", "group:update", "contact:update", "notification"];

const path = (wid: string) => ({ params: { path: { wid } } });

function Status({ webhook }: { webhook: Webhook }) {
  if (!webhook.enabled) return <Badge tone="bad">{t("webhook.disabled")}</Badge>;
  if (webhook.failingSince) return <Badge tone="warn">{t("webhook.failing", { when: ago(webhook.failingSince) })}</Badge>;
  return <Badge tone="good">{t("webhook.working")}</Badge>;
}

function Editor({ webhook, close, done }: { webhook?: Webhook; close: () => void; done: () => void }) {
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [name, setName] = useState(webhook?.name ?? "");
  const [deviceId, setDeviceId] = useState(webhook?.deviceId ?? "");
  const [events, setEvents] = useState<string[]>(webhook?.events.filter((event) => event !== "*") ?? []);
  const [secret, setSecret] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const refused = (field: string) => (error instanceof ApiFailure ? error.field(field) : undefined);
  const known = [...new Set([...EVENTS, ...events])];
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const chosen = events.length > 0 ? events : ["*"];
    try {
      if (webhook) {
        await data(api.PATCH("/api/v1/webhooks/{wid}", { ...path(webhook.id), body: { url, name, events: chosen } }));
        done();
        close();
      } else {
        const made = await data(api.POST("/api/v1/webhooks", { body: { url, name: name || undefined, deviceId: deviceId || undefined, events: chosen } }));
        done();
        setSecret(made.signingSecret);
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  if (secret) {
    return (
      <Dialog title={t("webhook.secretTitle")} onClose={close}>
        <p>{t("webhook.secretText")}</p>
        <Secret value={secret} />
        <div class={ui.actions}><Button variant="primary" onClick={close}>{t("action.done")}</Button></div>
      </Dialog>
    );
  }
  return (
    <Dialog title={webhook ? t("webhook.change") : t("webhook.new")} onClose={close}>
      <form class={ui.stack} onSubmit={save}>
        <Field label={t("webhook.url")} hint={t("webhook.urlHint")} error={refused("url")}>{(field) => <input {...field} type="url" required autoFocus placeholder="https://example.com/hook" value={url} onInput={(event) => setUrl(event.currentTarget.value)} />}</Field>
        <Field label={t("webhook.name")} error={refused("name")}>{(field) => <input {...field} value={name} maxLength={100} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        {!webhook && (
          <Field label={t("webhook.device")} error={refused("deviceId")}>
            {(field) => (
              <select {...field} value={deviceId} onChange={(event) => setDeviceId(event.currentTarget.value)}>
                <option value="">{t("webhook.allDevices")}</option>
                {deviceList.value.map((device) => <option key={device.id} value={device.id}>{device.name}</option>)}
              </select>
            )}
          </Field>
        )}
        <fieldset class={css.checks}>
          <legend>{t("webhook.events")}</legend>
          {known.map((event) => <Checkbox key={event} label={<code>{event}</code>} checked={events.includes(event)} onChange={() => setEvents(events.includes(event) ? events.filter((other) => other !== event) : [...events, event])} />)}
        </fieldset>
        <p class={ui.hint}>{t("webhook.eventsHint")}</p>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{webhook ? t("action.save") : t("action.create")}</Button></div>
      </form>
    </Dialog>
  );
}

function Attempts({ wid }: { wid: string }) {
  const { data: page, error, reload } = useLoad(() => body(api.GET("/api/v1/webhooks/{wid}/attempts", { params: { path: { wid }, query: { limit: 50 } } })), wid);
  return (
    <Card title={t("webhook.attempts")} actions={<Button size="small" icon="refresh" onClick={reload}>{t("action.refresh")}</Button>} flush>
      {error ? <Failure error={error} /> : !page ? <Loading /> : page.data.length === 0 ? <p class={`${ui.cardBody} ${ui.muted}`}>{t("webhook.noAttempts")}</p> : (
        <div class={ui.tableWrap} tabIndex={0} role="region" aria-label={t("webhook.attempts")}>
          <table class={ui.table}>
            <thead><tr><th>{t("webhook.when")}</th><th>{t("webhook.event")}</th><th>{t("webhook.outcome")}</th><th class={ui.end}>{t("webhook.took")}</th></tr></thead>
            <tbody>
              {page.data.map((tried) => (
                <tr key={`${tried.id} ${tried.attempt} ${tried.at}`}><td>{moment(tried.at)}</td><td><code>{tried.event}</code></td><td>{tried.status ? `${tried.status} · ` : ""}{tried.outcome}</td><td class={ui.end}>{t("metric.milliseconds", { n: number(tried.durationMs) })}</td></tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function DeadLetters({ wid, count, changed }: { wid: string; count: number; changed: () => void }) {
  const { data: page, error, reload } = useLoad(() => body(api.GET("/api/v1/webhooks/{wid}/dead-letters", { params: { path: { wid }, query: { limit: 50 } } })), `${wid} ${count}`);
  if (count === 0) return null;
  const replay = async (id?: number) => {
    const done = await attempt(async () => {
      const answer = await data(api.POST("/api/v1/webhooks/{wid}/replay", { ...path(wid), body: id === undefined ? { dead: true } : { id } }));
      toast(tn("webhook.replayed", answer.replayed));
    });
    if (!done) return;
    reload();
    changed();
  };
  const mayChange = allows("devices:write");
  return (
    <Card title={tn("webhook.dead", count)} actions={mayChange && <Button size="small" onClick={() => void replay()}>{t("webhook.replayAll")}</Button>} flush>
      {error ? <Failure error={error} /> : !page ? <Loading /> : (
        <ul class={ui.list}>
          {page.data.map((letter) => (
            <li key={letter.id} class={ui.listRow}>
              <span class={ui.grow}><code>{letter.event}</code> · {letter.deviceId}<br /><span class={`${ui.muted} ${ui.smallText}`}>{moment(letter.deadAt)} · {letter.lastError}</span></span>
              {mayChange && <Button size="small" onClick={() => void replay(letter.id)}>{t("webhook.replay")}</Button>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Detail({ wid }: { wid: string }) {
  const { data: webhook, error, reload } = useLoad(() => data(api.GET("/api/v1/webhooks/{wid}", path(wid))), wid);
  const [isEditing, setEditing] = useState(false);
  const [secret, setSecret] = useState("");
  const [result, setResult] = useState<Schemas["WebhookTest"]>();
  const [isTesting, setTesting] = useState(false);
  const [round, setRound] = useState(0);
  if (error) return <Page title={t("nav.webhooks")}><Failure error={error} retry={reload} /></Page>;
  if (!webhook) return <Loading />;
  const test = async () => {
    setTesting(true);
    await attempt(async () => setResult(await data(api.POST("/api/v1/webhooks/{wid}/test", path(wid)))));
    setTesting(false);
    setRound(round + 1);
  };
  const rotate = () => confirmThen({
    title: t("webhook.rotate"), text: t("webhook.rotateText"), action: t("webhook.rotate"),
    run: async () => setSecret((await data(api.POST("/api/v1/webhooks/{wid}/rotate", { ...path(wid), body: {} }))).signingSecret),
  });
  const remove = () => confirmThen({
    title: t("webhook.delete"), text: t("webhook.deleteText"), action: t("action.delete"), isDangerous: true,
    run: async () => {
      await data(api.DELETE("/api/v1/webhooks/{wid}", path(wid)));
      navigate("webhooks");
    },
  });
  const toggle = () => attempt(async () => {
    await data(api.PATCH("/api/v1/webhooks/{wid}", { ...path(wid), body: { enabled: !webhook.enabled } }));
    reload();
  });
  const mayChange = allows("devices:write") && !webhook.declared;
  return (
    <Page title={<Name>{webhook.name || webhook.url}</Name>} subtitle={<Status webhook={webhook} />} actions={allows("devices:write") && <>
      <Button variant="primary" busy={isTesting} onClick={() => void test()}>{t("webhook.test")}</Button>
      <Menu label={t("message.actions")} items={mayChange ? [
        { label: t("webhook.change"), icon: "edit", run: () => setEditing(true) },
        { label: webhook.enabled ? t("webhook.disable") : t("webhook.enable"), icon: webhook.enabled ? "pause" : "play", run: () => void toggle() },
        { label: t("webhook.rotate"), icon: "refresh", run: rotate },
        { label: t("webhook.delete"), icon: "trash", isDangerous: true, run: remove },
      ] : []} />
    </>}>
      {webhook.declared && <Notice tone="info">{t("webhook.declared")}</Notice>}
      {result && <Notice tone={result.delivered ? "good" : "bad"} icon={result.delivered ? "check" : "warning"} alert><strong>{result.delivered ? t("webhook.testOk") : t("webhook.testFailed")}</strong><span class={ui.noticeMeta}>{result.status ? `HTTP ${result.status} · ` : ""}{result.outcome} · {t("metric.milliseconds", { n: number(result.durationMs) })}</span></Notice>}
      <Card title={t("device.about")}>
        <dl class={ui.facts}>
          <div><dt>{t("webhook.url")}</dt><dd><Name>{webhook.url}</Name></dd></div>
          <div><dt>{t("webhook.device")}</dt><dd>{webhook.deviceId ?? t("webhook.allDevices")}</dd></div>
          <div><dt>{t("webhook.events")}</dt><dd>{webhook.events.join(", ")}</dd></div>
          <div><dt>{t("webhook.format")}</dt><dd>{webhook.format}</dd></div>
          <div><dt>{t("webhook.lastDelivery")}</dt><dd>{webhook.lastDeliveryAt ? ago(webhook.lastDeliveryAt) : t("value.never")}</dd></div>
          <div><dt>{t("webhook.waiting")}</dt><dd>{number(webhook.waiting)}</dd></div>
        </dl>
      </Card>
      <DeadLetters wid={wid} count={webhook.deadLetters} changed={reload} />
      <Attempts key={round} wid={wid} />
      {isEditing && <Editor webhook={webhook} close={() => setEditing(false)} done={reload} />}
      {secret && <Dialog title={t("webhook.secretTitle")} onClose={() => setSecret("")}><p>{t("webhook.rotatedText")}</p><Secret value={secret} /></Dialog>}
    </Page>
  );
}

export function Webhooks() {
  const [, wid] = route.value;
  return wid ? <Detail key={wid} wid={wid} /> : <List />;
}

function List() {
  const { data: list, error, reload } = useLoad(() => data(api.GET("/api/v1/webhooks")), "list");
  const [isNew, setNew] = useState(false);
  const add = allows("devices:write") && <Button variant="primary" icon="plus" onClick={() => setNew(true)}>{t("webhook.new")}</Button>;
  return (
    <Page title={t("nav.webhooks")} subtitle={t("webhook.text")} actions={list && list.length > 0 && add}>
      {error ? <Failure error={error} retry={reload} /> : null}
      {!list ? !error && <Loading /> : (
        <Card flush>
          {list.length === 0 ? <Empty icon="webhooks" title={t("webhook.emptyTitle")} action={add}>{t("webhook.emptyText")}</Empty> : (
            <ul class={ui.list} onKeyDown={moveFocus}>
              {list.map((webhook) => (
                <li key={webhook.id} class={ui.listRow}>
                  <span class={ui.grow}><a data-row href={href("webhooks", webhook.id)}><Name>{webhook.name || webhook.url}</Name></a><br /><span class={`${ui.muted} ${ui.smallText}`}>{webhook.deviceId ?? t("webhook.allDevices")} · {webhook.events.join(", ")}</span></span>
                  {webhook.deadLetters > 0 && <Badge tone="bad">{tn("webhook.dead", webhook.deadLetters)}</Badge>}
                  <Status webhook={webhook} />
                </li>
              ))}
            </ul>
          )}
        </Card>
      )}
      {isNew && <Editor close={() => setNew(false)} done={reload} />}
    </Page>
  );
}
