import { useEffect, useState } from "preact/hooks";
import { api, body, data, type Schemas } from "../api/client";
import { deviceList, devices, onFleetEvent } from "../api/fleet";
import { allows } from "../api/session";
import { ago, t, tMaybe, tn } from "../i18n";
import { ownUrl } from "../lib/base";
import { useLoad, usePolling } from "../lib/hooks";
import { moveFocus } from "../lib/list_keys";
import { currentSubscription, disablePush, enablePush, pushObstacle } from "../lib/push";
import { href } from "../lib/router";
import { Badge, Button, Card, Empty, Failure, Field, Loading, Name, Notice, Page, type Tone, ui } from "../ui/basics";
import { attempt, confirmThen, Dialog, Menu, toast } from "../ui/dialog";
import css from "./pages.module.css";

type Notification_ = Schemas["Notification"];
type Rule = Schemas["NotificationRule"];
const REFRESH_MS = 5000;
const TRIGGERS = ["message", "call", "missed_call", "offline", "qr", "error", "message_failed", "webhook_dead", "webhook_disabled"] as const;
const ACTIONS: Schemas["NotificationAction"][] = ["dashboard", "desktop", "sound", "push", "webhook"];
const HOUR_MS = 3_600_000;
const tone = (priority: string): Tone => (priority === "high" ? "bad" : priority === "normal" ? "info" : "");
const triggerName = (name: string): string => tMaybe(`trigger.${name}`) ?? name;

function Push() {
  const obstacle = pushObstacle();
  const [isOn, setOn] = useState(false);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    currentSubscription().then((subscription) => setOn(subscription !== null), () => undefined);
  }, []);
  const change = async () => {
    setBusy(true);
    await attempt(async () => {
      if (isOn) {
        await disablePush();
        setOn(false);
      } else if (await enablePush(navigator.platform || "Browser")) {
        setOn(true);
      } else {
        toast(t("push.denied"), true);
      }
    });
    setBusy(false);
  };
  return (
    <Card title={t("push.title")} actions={!obstacle && <Button size="small" busy={isBusy} onClick={() => void change()}>{isOn ? t("push.disable") : t("push.enable")}</Button>}>
      <p class={ui.muted}>{obstacle ? t(`push.${obstacle}`) : isOn ? t("push.on") : t("push.text")}</p>
    </Card>
  );
}

function Mutes() {
  const mute = (id: string, until?: number) => attempt(() => data(api.POST("/api/v1/devices/{id}/notifications/mute", { params: { path: { id } }, body: { until } })), t("notify.muted"));
  const unmute = (id: string) => attempt(() => data(api.POST("/api/v1/devices/{id}/notifications/unmute", { params: { path: { id } }, body: {} })), t("notify.unmuted"));
  if (deviceList.value.length === 0) return null;
  return (
    <Card title={t("notify.mute")} flush>
      <ul class={ui.list}>
        {deviceList.value.map(({ id, name }) => (
          <li key={id} class={ui.listRow}>
            <span class={ui.grow}><Name>{name}</Name></span>
            <Menu label={t("notify.muteOf", { name })} icon="muted" items={[
              { label: t("notify.muteHour"), run: () => void mute(id, Date.now() + HOUR_MS) },
              { label: t("notify.muteDay"), run: () => void mute(id, Date.now() + 24 * HOUR_MS) },
              { label: t("notify.muteAlways"), run: () => void mute(id) },
              { label: t("notify.unmute"), run: () => void unmute(id) },
            ]} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Sounds() {
  const { data: sounds, error } = useLoad(() => data(api.GET("/api/v1/notifications/sounds")), "sounds");
  if (error) return <Failure error={error} />;
  if (!sounds || sounds.length === 0) return null;
  const play = (url: string) => attempt(() => new Audio(ownUrl(url)).play());
  return (
    <Card title={t("notify.sounds")}>
      <div class={ui.row}>{sounds.map((sound) => <Button key={sound.name} size="small" icon="play" onClick={() => void play(sound.url)}><Name>{sound.name}</Name></Button>)}</div>
    </Card>
  );
}

function RuleEditor({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState("");
  const [trigger, setTrigger] = useState<string>("message");
  const [text, setText] = useState("");
  const [actions, setActions] = useState<Schemas["NotificationAction"][]>(["dashboard"]);
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await data(api.POST("/api/v1/notifications/rules", { body: { name, match: { events: [trigger], text: text || undefined }, actions } }));
      done();
      close();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("rule.new")} onClose={close}>
      <form class={ui.stack} onSubmit={save}>
        <Field label={t("rule.name")}>{(field) => <input {...field} required autoFocus maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <Field label={t("rule.when")}>{(field) => <select {...field} value={trigger} onChange={(event) => setTrigger(event.currentTarget.value)}>{TRIGGERS.map((known) => <option key={known} value={known}>{triggerName(known)}</option>)}</select>}</Field>
        <Field label={t("rule.contains")} hint={t("rule.containsHint")}>{(field) => <input {...field} value={text} onInput={(event) => setText(event.currentTarget.value)} />}</Field>
        <fieldset class={css.checks}>
          <legend>{t("rule.then")}</legend>
          {ACTIONS.map((action) => (
            <label key={action} class={ui.check}><input type="checkbox" checked={actions.includes(action)} onChange={() => setActions(actions.includes(action) ? actions.filter((other) => other !== action) : [...actions, action])} /><span>{tMaybe(`notifyAction.${action}`) ?? action}</span></label>
          ))}
        </fieldset>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy}>{t("action.create")}</Button></div>
      </form>
    </Dialog>
  );
}

function Rules() {
  const { data: rules, error, reload } = useLoad(() => data(api.GET("/api/v1/notifications/rules")), "rules");
  const [isNew, setNew] = useState(false);
  const mayChange = allows("devices:write");
  const path = (rid: string) => ({ params: { path: { rid } } });
  const toggle = (rule: Rule) => attempt(async () => {
    await data(api.PATCH("/api/v1/notifications/rules/{rid}", { ...path(rule.id), body: { enabled: !rule.enabled } }));
    reload();
  });
  const remove = (rule: Rule) => confirmThen({
    title: t("rule.delete"), text: rule.name, action: t("action.delete"), isDangerous: true,
    run: async () => {
      await data(api.DELETE("/api/v1/notifications/rules/{rid}", path(rule.id)));
      reload();
    },
  });
  const tryIt = (action: Schemas["NotificationAction"]) => attempt(async () => {
    const answer = await data(api.POST("/api/v1/notifications/test", { body: { action } }));
    toast(answer.said, !answer.done);
  });
  return (
    <Card title={t("rule.title")} actions={mayChange && <Button size="small" icon="plus" onClick={() => setNew(true)}>{t("rule.new")}</Button>} flush>
      {error ? <Failure error={error} /> : !rules ? <Loading /> : rules.length === 0 ? <p class={`${ui.cardBody} ${ui.muted}`}>{t("rule.none")}</p> : (
        <ol class={ui.list}>
          {rules.map((rule) => {
            const first = rule.actions.find((action) => action !== "command");
            const items = [
              ...(first ? [{ label: t("rule.try", { action: tMaybe(`notifyAction.${first}`) ?? first }), icon: "play" as const, run: () => void tryIt(first) }] : []),
              ...(rule.origin === "api" ? [
                { label: rule.enabled ? t("rule.disable") : t("rule.enable"), icon: "pause" as const, run: () => void toggle(rule) },
                { label: t("action.delete"), icon: "trash" as const, isDangerous: true, run: () => remove(rule) },
              ] : []),
            ];
            return (
              <li key={rule.id} class={ui.listRow}>
                <span class={ui.grow}>
                  <Name>{rule.name}</Name> {!rule.enabled && <Badge tone="">{t("rule.off")}</Badge>}<br />
                  <span class={`${ui.muted} ${ui.smallText}`}>{(rule.match.events ?? []).map(triggerName).join(", ") || t("rule.everything")} → {rule.actions.map((action) => tMaybe(`notifyAction.${action}`) ?? action).join(", ") || t("rule.silent")} · {t(`ruleOrigin.${rule.origin}`)}</span>
                </span>
                {mayChange && <Menu label={t("rule.actions", { name: rule.name })} items={items} />}
              </li>
            );
          })}
        </ol>
      )}
      {isNew && <RuleEditor close={() => setNew(false)} done={reload} />}
    </Card>
  );
}

function Row({ item }: { item: Notification_ }) {
  const to = item.chatId && allows("messages:read") ? href("devices", item.deviceId, "chats", item.chatId) : href("devices", item.deviceId);
  return (
    <li class={ui.listRow}>
      <span class={ui.grow}>
        <a data-row href={to}><Name>{item.title}</Name></a>{item.count > 1 && ` · ${tn("notify.count", item.count)}`}<br />
        <span class={`${ui.muted} ${ui.smallText}`}><Name>{item.body}</Name></span><br />
        <span class={`${ui.muted} ${ui.smallText}`}><Name>{devices.value?.get(item.deviceId)?.name ?? item.deviceId}</Name> · {ago(item.timestamp)}</span>
      </span>
      {!item.read && <Badge tone="info">{t("notify.unread")}</Badge>}
      {item.priority === "high" && <Badge tone={tone(item.priority)}>{t("notify.high")}</Badge>}
    </li>
  );
}

export function Notifications() {
  const { data: page, error, reload } = useLoad(() => body(api.GET("/api/v1/notifications", { params: { query: { limit: 100 } } })), "list");
  usePolling(reload, REFRESH_MS);
  useEffect(() => onFleetEvent((event) => event.type === "notification" && reload()), []);
  const unread = page?.data.filter((item) => !item.read) ?? [];
  const readAll = () => attempt(async () => {
    for (const id of new Set(unread.map((item) => item.deviceId))) {
      const ids = unread.filter((item) => item.deviceId === id).map((item) => item.id);
      await data(api.POST("/api/v1/devices/{id}/notifications/read", { params: { path: { id } }, body: { ids } }));
    }
    reload();
  });
  return (
    <Page title={t("nav.notifications")} actions={unread.length > 0 && <Button icon="check" onClick={() => void readAll()}>{t("notify.readAll")}</Button>}>
      {error ? <Failure error={error} retry={reload} /> : null}
      <div class={css.split}>
        <Card flush>
          {!page ? !error && <Loading /> : page.data.length === 0 ? <Empty icon="notifications" title={t("notify.emptyTitle")}>{t("notify.emptyText")}</Empty> : <ul class={ui.list} onKeyDown={moveFocus}>{page.data.map((item) => <Row key={`${item.deviceId} ${item.id}`} item={item} />)}</ul>}
        </Card>
        <div class={ui.stack}><Push /><Sounds /><Mutes />{allows("devices:read") ? <Rules /> : <Notice tone="info">{t("noScope.text", { scope: "devices:read" })}</Notice>}</div>
      </div>
    </Page>
  );
}
