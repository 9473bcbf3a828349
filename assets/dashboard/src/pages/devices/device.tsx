import { api, data } from "../../api/client";
import { devices } from "../../api/fleet";
import { allows } from "../../api/session";
import { ago, moment, number, t } from "../../i18n";
import { deviceActions, isLinked } from "../../lib/device_actions";
import { engineName, healthName, healthTone, phone, reasonWords, stateName, stateTone } from "../../lib/device_words";
import { useLoad } from "../../lib/hooks";
import { href, route } from "../../lib/router";
import { Badge, Card, Empty, Failure, LinkButton, Loading, Name, Notice, Page, ui } from "../../ui/basics";
import { Menu } from "../../ui/dialog";

function Health({ id, state }: { id: string; state: string }) {
  const { data: health, error, reload } = useLoad(() => data(api.GET("/api/v1/devices/{id}/health", { params: { path: { id } } })), `${id} ${state}`);
  if (error) return <Failure error={error} retry={reload} />;
  if (!health) return <Loading />;
  const { metrics } = health;
  return (
    <Card title={t("device.health")} actions={<Badge tone={healthTone(health.status)}>{healthName(health.status)} · {number(health.score)}</Badge>}>
      {health.warnings.map((warning) => <Notice key={warning.code} tone="warn">{warning.message}</Notice>)}
      <dl class={ui.facts}>
        <div><dt>{t("metric.messagesPerHour")}</dt><dd>{number(metrics.messagesPerHour)}</dd></div>
        <div><dt>{t("metric.successRate")}</dt><dd>{t("metric.percent", { n: number(Math.round(metrics.successRate <= 1 ? metrics.successRate * 100 : metrics.successRate)) })}</dd></div>
        <div><dt>{t("metric.responseTime")}</dt><dd>{t("metric.seconds", { n: number(Math.round(metrics.avgResponseTime / 1000)) })}</dd></div>
        <div><dt>{t("metric.disconnections")}</dt><dd>{number(metrics.disconnectionCount)}</dd></div>
        <div><dt>{t("metric.lastActivity")}</dt><dd>{metrics.lastActivity ? ago(metrics.lastActivity) : t("value.none")}</dd></div>
      </dl>
    </Card>
  );
}

export function DevicePage() {
  const id = route.value[1]!;
  const device = devices.value?.get(id);
  if (!devices.value) return <Loading />;
  if (!device) return <Empty icon="devices" title={t("device.unknown")} action={<a href={href("devices")}>{t("device.all")}</a>} />;
  const reason = device.state === "ready" ? undefined : reasonWords(device.reason);
  return (
    <Page
      title={<Name>{device.name}</Name>}
      subtitle={<Badge tone={stateTone(device.state)}>{stateName(device.state)}</Badge>}
      actions={<>
        {!isLinked(device) && <LinkButton to={href("devices", id, "link")} variant="primary">{t("device.link")}</LinkButton>}
        {allows("messages:read") && <LinkButton to={href("devices", id, "chats")} icon="chats" variant={isLinked(device) ? "primary" : undefined}>{t("nav.chats")}</LinkButton>}
        <Menu label={t("device.actions", { name: device.name })} items={deviceActions(device)} />
      </>}
    >
      {reason && <Notice tone="warn"><strong>{reason.what}</strong><span>{reason.todo}</span></Notice>}
      <Card title={t("device.about")}>
        <dl class={ui.facts}>
          <div><dt>{t("device.id")}</dt><dd>{device.id}</dd></div>
          <div><dt>{t("device.phone")}</dt><dd>{phone(device.phoneNumber) || t("value.none")}</dd></div>
          <div><dt>{t("device.account")}</dt><dd>{device.clientName ? <Name>{device.clientName}</Name> : t("value.none")}</dd></div>
          <div><dt>{t("create.engine")}</dt><dd>{engineName(device.engine)}</dd></div>
          <div><dt>{t("device.lastSeen")}</dt><dd>{device.lastSeen ? ago(device.lastSeen) : t("value.never")}</dd></div>
          <div><dt>{t("device.created")}</dt><dd>{moment(device.createdAt)}</dd></div>
          <div><dt>{t("device.received")}</dt><dd>{number(device.stats.messagesReceived)}</dd></div>
          <div><dt>{t("device.sent")}</dt><dd>{number(device.stats.messagesSent)}</dd></div>
          <div><dt>{t("device.contacts")}</dt><dd>{number(device.stats.contacts)}</dd></div>
          <div><dt>{t("device.groups")}</dt><dd>{number(device.stats.groups)}</dd></div>
        </dl>
      </Card>
      <Health id={id} state={device.state} />
    </Page>
  );
}
