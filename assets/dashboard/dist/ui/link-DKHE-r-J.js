import{A as e,B as t,H as n,I as r,J as i,K as a,P as o,R as s,Z as c,c as l,d as u,et as d,f,h as p,i as m,l as h,m as g,n as _,o as v,p as y,r as b,s as x,v as S,y as C,z as ee}from"./basics-Cv1me1aY.js";import{A as te,D as ne,E as w,F as T,H as E,L as D,M as O,O as k,R as A,S as j,T as M,g as re,h as ie,k as ae,m as N,p as P,s as F,y as I}from"./index-mFfm9EmP.js";import{c as L,n as R,s as z,t as B}from"./session-Sl_r080p.js";import{n as V,r as H,t as U}from"./hooks-GZWjzOTx.js";import{n as W,t as G}from"./jsxRuntime-X_B3tWFA.js";var K=`// Wharf: signs the passkey request of a device that you link. Use it in the console of https://web.whatsapp.com only.
// It sends nothing. Paste the response that it shows into Wharf.
(() => {
  "use strict";
  const options = __WHARF_PASSKEY_OPTIONS__;

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const toText = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("")).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");

  const requestOptions = () => {
    if (typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function") return PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const allowCredentials = (options.allowCredentials ?? []).map((item) => ({ ...item, id: toBytes(item.id) }));
    return { ...options, challenge: toBytes(options.challenge), allowCredentials };
  };

  const credentialJson = (credential) => {
    try {
      return credential.toJSON();
    } catch {
      const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
      return {
        id: credential.id,
        rawId: toText(credential.rawId),
        type: credential.type,
        ...(credential.authenticatorAttachment ? { authenticatorAttachment: credential.authenticatorAttachment } : {}),
        clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
        response: {
          clientDataJSON: toText(clientDataJSON),
          authenticatorData: toText(authenticatorData),
          signature: toText(signature),
          ...(userHandle?.byteLength ? { userHandle: toText(userHandle) } : {}),
        },
      };
    }
  };

  const SENTENCES = {
    NotAllowedError: "The browser did not sign: the request was cancelled, took too long, or no passkey of this account is here. Sign again and choose the device that has the passkey.",
    SecurityError: \`This page may not use the passkey of \${options.rpId ?? "this account"}. Paste the script into the console of https://web.whatsapp.com.\`,
    NotSupportedError: "This browser cannot use the passkey. Try a current version of Chrome, Edge or Firefox.",
    EncodingError: "The passkey request in the script is not valid. Copy the script again from Wharf.",
    TypeError: "The passkey request in the script is not valid. Copy the script again from Wharf.",
    AbortError: "Another passkey request of this page was in the way. Sign again.",
  };

  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  };
  // A dialog: browsers sign only while the page has the focus, and here the console has it.
  const dialog = element("dialog", "", { "aria-labelledby": "wharf-passkey-title" });
  dialog.style.cssText = "box-sizing: border-box; width: 32rem; max-width: calc(100vw - 1rem); margin: auto; padding: 1.25rem; border: 1px solid GrayText; border-radius: 12px; background: Canvas; color: CanvasText; color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif";
  const title = element("h2", "Link a device to Wharf", { id: "wharf-passkey-title" });
  const status = element("p", "Your browser asks for the passkey of your WhatsApp account.", { role: "status" });
  const output = element("textarea", "", { readonly: "", rows: "6", "aria-label": "Response for Wharf" });
  output.style.cssText = "box-sizing: border-box; width: 100%; font: 13px/1.4 monospace; background: Field; color: FieldText";
  output.style.display = "none";
  const buttons = ["Sign with passkey", "Copy the response", "Close"].map((label) => element("button", label, { type: "button" }));
  for (const button of buttons) button.style.cssText = "font: inherit; min-height: 2.5rem; margin: 0.5rem 0.5rem 0 0; padding: 0.25rem 1rem; border: 1px solid GrayText; border-radius: 6px; background: ButtonFace; color: ButtonText; cursor: pointer";
  const [sign, copy, close] = buttons;
  copy.style.display = "none";
  dialog.append(title, status, output, sign, copy, close);
  for (const type of ["keydown", "keypress", "keyup"]) dialog.addEventListener(type, (event) => event.stopPropagation());

  const copyText = () => navigator.clipboard.writeText(output.value).then(
    () => { status.textContent = "Signed. The response is copied: paste it into Wharf."; },
    () => {
      status.textContent = "Signed. Copy this response into Wharf.";
      output.select();
    },
  );
  sign.addEventListener("click", async () => {
    if (typeof PublicKeyCredential === "undefined") {
      status.textContent = SENTENCES.NotSupportedError;
      return;
    }
    sign.disabled = true;
    status.textContent = "Follow the instructions of your browser …";
    try {
      output.value = JSON.stringify(credentialJson(await navigator.credentials.get({ publicKey: requestOptions() })));
      output.style.display = copy.style.display = "";
      console.log(output.value);
      await copyText();
      copy.focus();
    } catch (error) {
      status.textContent = SENTENCES[error?.name] ?? \`The browser did not sign: \${error?.message || "unknown error"}.\`;
    }
    sign.disabled = false;
  });
  copy.addEventListener("click", copyText);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
})();
`,q=`https://web.whatsapp.com/`,J=`__WHARF_PASSKEY_OPTIONS__`;function Y(e){return e&&/^https:\/\/[^/]/.test(e)?e:q}function oe(e,t,n,r){let i=new TextEncoder().encode(JSON.stringify({server:t,device:n,ticket:r})),a=btoa(Array.from(i,e=>String.fromCharCode(e)).join(``)).replace(/\+/g,`-`).replace(/\//g,`_`).replace(/=+$/,``);return`${Y(e).replace(/#.*$/,``)}#wharf-passkey=${a}`}function se(e){return K.replace(J,()=>JSON.stringify(e))}function ce(e){try{let t=JSON.parse(e.trim().replace(/^'([^]*)'$/,`$1`)),n=typeof t==`string`?JSON.parse(t):t;return typeof n==`object`&&n&&!Array.isArray(n)?n:void 0}catch{return}}var le=2e3;function X({until:t}){let n=Math.max(0,t-V(z,500));return G(`p`,{class:`${C.muted} ${C.smallText}`,role:`timer`,"data-countdown":Math.ceil(n/1e3),children:n>0?r(`passkey.timeLeft`,{time:e(n)}):r(`passkey.timeOver`)})}function Z(e){let[t,n]=d(!1);return[t,async t=>{n(!0),await j(async()=>{await t(),await A(e)}),n(!1)}]}function ue({device:e,step:t}){let[n,i]=d(),[o,s]=d(!1),[c,u]=d(null),f=V(z),p=async()=>{s(!0),u(null);try{let{ticket:n,expiresAt:r}=await ne(e.id),o=oe(t.openUrl,`${location.origin}${a}`,e.id,n);i({url:o,expiresAt:r}),window.open(o,`_blank`,`noopener,noreferrer`)}catch(e){u(e)}finally{s(!1)}},m=n!==void 0&&n.expiresAt>f;return G(`section`,{class:C.stack,"aria-labelledby":`passkey-extension`,children:[G(`h3`,{id:`passkey-extension`,children:r(`passkey.withExtension`)}),G(`p`,{children:[r(`passkey.extensionText`),` `,G(`a`,{href:`${a}/passkey-extension.zip`,download:!0,children:r(`passkey.getExtension`)})]}),G(`div`,{class:C.row,children:[G(b,{variant:`primary`,busy:o,onClick:p,children:r(`passkey.open`)}),m&&G(v,{text:n.url,label:r(`passkey.copyLink`)})]}),c!==null&&G(l,{error:c}),G(`div`,{role:`status`,children:n&&(m?G(g,{tone:`info`,children:G(`span`,{children:[r(`passkey.opened`),` `,G(`a`,{href:n.url,target:`_blank`,rel:`noopener noreferrer`,children:r(`passkey.openAgain`)})]})}):G(g,{tone:`warn`,children:r(`passkey.linkExpired`)}))})]})}function de({step:e}){let t=se(e.options);return G(`details`,{children:[G(`summary`,{children:r(`passkey.withConsole`)}),G(`div`,{class:C.stack,children:[G(`p`,{children:r(`passkey.consoleText`)}),G(`ol`,{class:F.steps,children:[G(`li`,{children:G(`span`,{children:[r(`passkey.console1`),` `,G(`a`,{href:Y(e.openUrl),target:`_blank`,rel:`noopener noreferrer`,children:new URL(Y(e.openUrl)).host})]})}),G(`li`,{children:r(`passkey.console2`)}),G(`li`,{children:r(`passkey.console3`)}),G(`li`,{children:r(`passkey.console4`)})]}),G(h,{label:r(`passkey.script`),children:e=>G(`textarea`,{...e,class:`${e.class} ${F.script}`,rows:4,readOnly:!0,spellcheck:!1,dir:`ltr`,value:t,onFocus:e=>e.currentTarget.select()})}),G(`div`,{children:G(v,{text:t,label:r(`passkey.copyScript`)})})]})]})}function fe({device:e}){let[t,n]=d(``),[i,a]=d(),[o,s]=d(!1),[l,u]=d(!1),f=c(null),p=e=>{a(e),f.current?.focus()};return G(`form`,{class:C.stack,onSubmit:async n=>{n.preventDefault(),u(!1);let i=ce(t);if(!i)return p(r(`passkey.notJson`));s(!0),a(void 0);try{await ae(e.id,i),u(!0),await A(e.id)}catch(e){p(S(e))}finally{s(!1)}},children:[G(h,{label:r(`passkey.response`),hint:r(`passkey.responseHint`),error:i,children:e=>G(`textarea`,{...e,ref:f,class:`${e.class} ${F.script}`,rows:4,required:!0,spellcheck:!1,autocomplete:`off`,dir:`ltr`,value:t,onInput:e=>n(e.currentTarget.value)})}),G(`div`,{role:`status`,children:l&&G(g,{tone:`good`,children:r(`passkey.sent`)})}),G(`div`,{children:G(b,{type:`submit`,busy:o,children:r(`passkey.send`)})})]})}function pe({device:e,step:t}){let[n,i]=Z(e.id);return G(`div`,{class:F.passkey,children:[G(`div`,{class:C.stack,children:[G(`h2`,{children:r(`passkey.title`)}),G(`p`,{children:r(`passkey.text`)}),G(`p`,{children:r(`passkey.phone`)}),G(X,{until:t.expiresAt})]}),G(ue,{device:e,step:t}),G(`div`,{class:F.alternatives,children:G(de,{step:t})}),G(`div`,{class:F.alternatives,children:G(fe,{device:e})}),G(`div`,{children:G(b,{variant:`danger`,busy:n,onClick:()=>i(()=>M(e.id)),children:r(`passkey.cancel`)})})]})}function me({device:e,step:t}){let[n,a]=Z(e.id),o=c(null);return i(()=>o.current?.focus(),[]),G(`div`,{class:F.passkey,children:[G(`h2`,{ref:o,tabIndex:-1,children:r(`passkey.compare`)}),t.code?G(W,{children:[G(`p`,{class:F.code,"data-code":!0,children:t.code}),G(`p`,{children:r(`passkey.compareText`)})]}):G(`p`,{children:r(`passkey.noCode`)}),G(X,{until:t.expiresAt}),G(`div`,{class:C.row,children:[G(b,{variant:`primary`,busy:n,onClick:()=>a(()=>w(e.id,t.code)),children:r(`passkey.yes`)}),G(b,{variant:`danger`,busy:n,onClick:()=>a(()=>M(e.id)),children:r(`passkey.no`)})]})]})}function Q({device:e,round:t}){let n=B(`devices:write`),{data:a,error:o,reload:s}=U(()=>n?k(e.id):Promise.resolve(void 0),e.id);if(i(s,[t]),H(s,le),!n)return G(`div`,{class:F.passkey,children:G(g,{tone:`info`,children:[G(`strong`,{children:r(`passkey.title`)}),G(`span`,{children:r(`passkey.needsScope`)})]})});let c=o instanceof ee&&o.code===`no_passkey_pending`;return a&&!c?a.stage===`confirmation`?G(me,{device:e,step:a}):G(pe,{device:e,step:a},String(a.options?.challenge)):o&&!c?G(l,{error:o,retry:s}):G(f,{})}var $=2e3,he=6;function ge(e){let[r,a]=d(),o=()=>{e.state===`qr`&&n(t.GET(`/api/v1/devices/{id}/qr`,{params:{path:{id:e.id}}})).then(a,()=>a(void 0))};return i(o,[e.id,e.state]),H(o,$),e.state===`qr`?r:void 0}function _e(e){let[t,n]=d({passkeyRound:0});return i(()=>{if(B(`events:read`))return E(`/device/${e}`,{onConnection:()=>void 0,onEvent:t=>{let r=t.type.startsWith(`passkey:`);(r||[`state`,`qr`,`ready`,`authenticated`].includes(t.type))&&A(e).catch(()=>void 0);let{done:i,total:a,reason:o}=t.payload;r&&n(e=>({...e,passkeyRound:e.passkeyRound+1,passkeyError:t.type===`passkey:error`&&typeof o==`string`?o:void 0})),t.type===`history:progress`&&typeof i==`number`&&n(e=>({...e,progress:{done:i,total:typeof a==`number`?a:void 0}}))}}).close},[e]),H(()=>void A(e).catch(()=>void 0),$),t}function ve({device:e,code:t}){let n=V(z,500),i=t?Math.max(0,t.expiresAt-n):0,c=Math.ceil(i/1e3),l=t?.attempt===1?6e4:2e4;return G(`div`,{class:F.qr,children:[G(`div`,{class:F.qrFrame,"data-stale":i===0,children:t?G(`img`,{src:`${a}/api/v1/devices/${encodeURIComponent(e.id)}/qr.svg?attempt=${t.attempt}&at=${t.expiresAt}`,alt:r(`link.qrAlt`),width:`280`,height:`280`}):G(`span`,{class:C.spinner,"aria-hidden":`true`})}),G(`progress`,{class:F.progress,max:l,value:Math.min(i,l),"aria-label":r(`link.timeLeft`)}),G(`p`,{class:`${C.muted} ${C.smallText}`,"data-countdown":c,children:t?G(W,{children:[s(`link.expires`,c),` · `,r(`link.attempt`,{at:o(t.attempt),of:o(he)})]}):r(`link.preparing`)})]})}function ye({device:e}){let[i,a]=d(``),[o,c]=d(),[u,f]=d(null),[p,m]=d(!1),g=V(z);return G(`details`,{children:[G(`summary`,{children:r(`link.withCode`)}),G(`form`,{class:C.stack,onSubmit:async r=>{r.preventDefault(),m(!0),f(null);try{c(await n(t.POST(`/api/v1/devices/{id}/pairing-code`,{params:{path:{id:e.id}},body:{phoneNumber:i}})))}catch(e){f(e)}finally{m(!1)}},children:[G(`p`,{class:C.muted,children:r(`link.withCodeText`)}),G(`div`,{class:F.inline,children:[G(h,{label:r(`link.phoneNumber`),children:e=>G(`input`,{...e,type:`tel`,required:!0,placeholder:`+1 555 010 0000`,autocomplete:`off`,value:i,onInput:e=>a(e.currentTarget.value)})}),G(b,{type:`submit`,busy:p,children:r(`link.getCode`)})]}),u!==null&&G(l,{error:u}),o&&G(`div`,{class:C.row,role:`status`,children:[G(`span`,{class:F.code,children:o.code}),G(v,{text:o.code}),G(`span`,{class:C.muted,children:o.expiresAt>g?s(`link.expires`,Math.ceil((o.expiresAt-g)/1e3)):r(`link.codeExpired`)})]})]})]})}function be({device:e}){return e.engine!==`simulator`||!L.value?.server.simulator||!B(`admin`)?null:G(g,{tone:`info`,action:G(b,{variant:`primary`,size:`small`,onClick:()=>j(()=>n(t.POST(`/api/v1/simulator/{id}/{call}`,{params:{path:{id:e.id,call:`scan`}},body:{}}))),children:r(`link.scan`)}),children:[G(`strong`,{children:r(`link.simulated`)}),G(`span`,{class:C.noticeMeta,children:r(`link.simulatedText`)})]})}function xe({device:e,passkeyError:t}){let n=ge(e),i=N(t);return G(`div`,{class:F.linkCard,children:[G(ve,{device:e,code:n}),G(`div`,{class:C.stack,children:[i&&G(g,{tone:`warn`,children:[G(`strong`,{children:i.what}),G(`span`,{children:i.todo})]}),G(`h2`,{children:r(`link.how`)}),G(`ol`,{class:F.steps,children:[G(`li`,{children:r(`link.step1`)}),G(`li`,{children:r(`link.step2`)}),G(`li`,{children:r(`link.step3`)})]}),G(be,{device:e}),B(`devices:write`)&&R(e.engine,`pairingCode`)&&G(`div`,{class:F.alternatives,children:G(ye,{device:e})})]})]})}function Se({device:e,progress:t}){return G(x,{icon:`check`,title:r(`link.doneTitle`),action:G(`div`,{class:C.row,children:[B(`messages:read`)&&G(u,{to:O(`devices`,e.id,`chats`),variant:`primary`,icon:`chats`,children:r(`link.openChats`)}),G(u,{to:O(`devices`,e.id),children:r(`link.openDevice`)})]}),children:[r(`link.doneText`,{phone:P(e.phoneNumber)}),t&&G(W,{children:[G(`br`,{}),t.total?r(`link.history`,{done:o(t.done),total:o(t.total)}):r(`link.historyOpen`,{done:o(t.done)})]})]})}function Ce({device:e,passkeyError:t}){let[n,i]=d(!1),a=e.reason??t,o=N(a),s=async()=>{i(!0),await j(()=>I(e.id)),i(!1)},c=a===`qr_codes_exhausted`?r(`link.newCodes`):a?.startsWith(`passkey_`)?r(`passkey.newCode`):r(`device.start`);return G(x,{icon:e.state===`failed`?`warning`:`devices`,title:o?.what??r(`link.notRunning`),action:B(`devices:write`)&&G(b,{variant:`primary`,busy:n,onClick:s,children:c}),children:o?.todo??r(`link.startText`)})}function we(){let e=T.value[1],{progress:t,passkeyRound:n,passkeyError:i}=_e(e),a=D.value?.get(e);if(!D.value)return G(f,{});if(!a)return G(x,{icon:`devices`,title:r(`device.unknown`),action:G(`a`,{href:O(`devices`),children:r(`device.all`)})});let o=[`created`,`stopped`,`logged_out`,`failed`].includes(a.state),s=te(a);return G(p,{title:G(W,{children:[r(`link.title`),` `,G(y,{children:a.name})]}),actions:G(_,{tone:re(a.state),children:ie(a.state)}),children:[G(`p`,{class:`visually-hidden`,role:`status`,children:s?r(`passkey.title`):``}),G(m,{flush:!0,children:a.state===`ready`?G(Se,{device:a,progress:t}):a.state===`qr`?G(xe,{device:a,passkeyError:i}):s?G(Q,{device:a,round:n}):o?G(Ce,{device:a,passkeyError:i}):G(`div`,{class:C.loading,role:`status`,children:[G(`span`,{class:C.spinner,"aria-hidden":`true`}),a.state===`pairing`?r(`link.finishing`):r(`link.connecting`)]})})]})}export{we as LinkPage};