import { useState } from "preact/hooks";
import { api, ApiFailure, data, type Schemas } from "../../api/client";
import { t, tMaybe, tn } from "../../i18n";
import { useLoad } from "../../lib/hooks";
import { readableId } from "../../lib/text";
import { Badge, Button, Failure, Field, Loading, Name, Secret, ui } from "../../ui/basics";
import { attempt, confirmThen, Dialog, Menu, type MenuItem } from "../../ui/dialog";
import { maySend } from "./words";
import css from "./chats.module.css";

type Group = Schemas["Group"];
type Member = Schemas["Participant"];
interface Place {
  id: string;
  gid: string;
}

/** The first refusal of a change of members becomes an error. */
async function changed(call: Promise<Schemas["ChangedParticipants"]>): Promise<void> {
  const refused = (await call).participants.find((person) => !person.success);
  if (refused) throw new ApiFailure(200, refused.code ?? "unknown", tMaybe(`memberCode.${refused.code}`) ?? t("group.refused", { code: refused.code ?? "" }));
}

function memberItems(member: Member, place: Place, run: (change: () => Promise<void>) => void): MenuItem[] {
  const request = { params: { path: place }, body: { participants: [member.id] } };
  const items: MenuItem[] = [member.role === "member"
    ? { label: t("group.promote"), icon: "star", run: () => run(() => changed(data(api.POST("/api/v1/devices/{id}/groups/{gid}/participants/promote", request)))) }
    : { label: t("group.demote"), icon: "star", run: () => run(() => changed(data(api.POST("/api/v1/devices/{id}/groups/{gid}/participants/demote", request)))) }];
  items.push({ label: t("group.remove"), icon: "trash", isDangerous: true, run: () => run(() => changed(data(api.POST("/api/v1/devices/{id}/groups/{gid}/participants/remove", request)))) });
  return items;
}

function Members({ members, ownId, place, isAdmin, reload }: { members: Member[]; ownId: string | undefined; place: Place; isAdmin: boolean; reload: () => void }) {
  const run = (change: () => Promise<void>) => void attempt(change).then(reload);
  return (
    <section>
      <h3>{tn("group.members", members.length)}</h3>
      <ul class={`${ui.list} ${css.members}`}>
        {members.map((member) => (
          <li key={member.id} class={css.member}>
            <span class={ui.grow}>{member.id === ownId ? t("chat.you") : <Name>{readableId(member.id)}</Name>}</span>
            {member.role !== "member" && <Badge tone="info">{t("group.admin")}</Badge>}
            {isAdmin && member.id !== ownId && <Menu label={t("group.memberActions", { name: readableId(member.id) })} items={memberItems(member, place, run)} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function AddMember({ place, reload }: { place: Place; reload: () => void }) {
  const [person, setPerson] = useState("");
  const [error, setError] = useState<unknown>(null);
  const add = async (event: Event) => {
    event.preventDefault();
    setError(null);
    try {
      await changed(data(api.POST("/api/v1/devices/{id}/groups/{gid}/participants/add", { params: { path: place }, body: { participants: [person] } })));
      setPerson("");
      reload();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <form class={css.inline} onSubmit={add}>
      <Field label={t("group.addMember")} hint={t("chats.newHint")} error={error === null ? undefined : (error as Error).message}>
        {(field) => <input {...field} type="tel" required autocomplete="off" value={person} onInput={(event) => setPerson(event.currentTarget.value)} />}
      </Field>
      <Button type="submit">{t("group.add")}</Button>
    </form>
  );
}

function About({ group, place, reload }: { group: Group; place: Place; reload: () => void }) {
  const [subject, setSubject] = useState(group.subject);
  const [description, setDescription] = useState(group.description ?? "");
  const [error, setError] = useState<unknown>(null);
  const isChanged = subject !== group.subject || description !== (group.description ?? "");
  const save = async (event: Event) => {
    event.preventDefault();
    setError(null);
    try {
      if (subject !== group.subject) await data(api.PUT("/api/v1/devices/{id}/groups/{gid}/subject", { params: { path: place }, body: { subject } }));
      if (description !== (group.description ?? "")) await data(api.PUT("/api/v1/devices/{id}/groups/{gid}/description", { params: { path: place }, body: { description } }));
      reload();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <form class={ui.stack} onSubmit={save}>
      <Field label={t("group.subject")}>{(field) => <input {...field} required maxLength={100} value={subject} onInput={(event) => setSubject(event.currentTarget.value)} />}</Field>
      <Field label={t("group.description")}>{(field) => <textarea {...field} rows={2} maxLength={2048} value={description} onInput={(event) => setDescription(event.currentTarget.value)} />}</Field>
      {error !== null && <Failure error={error} />}
      {isChanged && <div class={ui.actions}><Button type="submit" variant="primary">{t("action.save")}</Button></div>}
    </form>
  );
}

function Invite({ place }: { place: Place }) {
  const [link, setLink] = useState("");
  const path = { params: { path: place } };
  const show = () => attempt(async () => setLink((await data(api.GET("/api/v1/devices/{id}/groups/{gid}/invite-link", path))).inviteLink));
  const renew = () => attempt(async () => setLink((await data(api.POST("/api/v1/devices/{id}/groups/{gid}/invite-link/revoke", path))).inviteLink), t("group.linkRenewed"));
  return link
    ? <div class={ui.stack}><Secret value={link} /><div class={ui.actions}><Button size="small" onClick={() => void renew()}>{t("group.renewLink")}</Button></div></div>
    : <div><Button size="small" onClick={() => void show()}>{t("group.showLink")}</Button></div>;
}

/** The members of a group; its admins change it here. */
export function GroupDialog({ deviceId, groupId, ownId, close }: { deviceId: string; groupId: string; ownId: string | undefined; close: () => void }) {
  const place = { id: deviceId, gid: groupId };
  const { data: group, error, reload } = useLoad(() => data(api.GET("/api/v1/devices/{id}/groups/{gid}", { params: { path: place } })), `${deviceId} ${groupId}`);
  const members = group?.participants ?? [];
  const own = members.find((member) => member.id === ownId);
  const isAdmin = maySend() && own !== undefined && own.role !== "member";
  const leave = () => confirmThen({
    title: t("group.leave"), text: t("group.leaveText"), action: t("group.leave"), isDangerous: true,
    run: async () => {
      await data(api.POST("/api/v1/devices/{id}/groups/{gid}/leave", { params: { path: place } }));
      close();
    },
  });
  return (
    <Dialog title={t("group.title")} onClose={close}>
      {error ? <Failure error={error} retry={reload} /> : !group ? <Loading /> : (
        <>
          {isAdmin ? <About group={group} place={place} reload={reload} /> : <div><strong><Name>{group.subject}</Name></strong>{group.description && <p class={ui.muted}><Name>{group.description}</Name></p>}</div>}
          <Members members={members} ownId={ownId} place={place} isAdmin={isAdmin} reload={reload} />
          {isAdmin && <AddMember place={place} reload={reload} />}
          {isAdmin && <Invite place={place} />}
          {maySend() && own && <div class={ui.actions}><Button variant="danger" onClick={leave}>{t("group.leave")}</Button></div>}
        </>
      )}
    </Dialog>
  );
}
