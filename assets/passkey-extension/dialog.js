// The dialog in the page. Closed shadow tree, styles set by script: the page's styles and its content policy do not apply.
"use strict";

globalThis.WharfDialog = (() => {
  function element(name, style, text, attributes = {}) {
    const made = document.createElement(name);
    for (const [property, value] of Object.entries(style)) made.style.setProperty(property, value);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    // Text only: names and addresses of others stay text.
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const BOX = {
    "box-sizing": "border-box", width: "32rem", "max-width": "calc(100vw - 1rem)", "max-height": "calc(100dvh - 1rem)", overflow: "auto", padding: "1.25rem", border: "1px solid GrayText",
    "border-radius": "12px", background: "Canvas", color: "CanvasText", "color-scheme": "light dark", font: "16px/1.5 system-ui, sans-serif",
  };
  const BUTTON = { font: "inherit", "min-height": "2.5rem", padding: "0.25rem 1rem", cursor: "pointer" };
  const ROW = { display: "flex", "flex-wrap": "wrap", gap: "0.5rem", margin: "1rem 0 0" };
  const FACTS = { display: "grid", "grid-template-columns": "auto 1fr", gap: "0.25rem 1rem", margin: "0.75rem 0" };
  const FACT = { margin: "0", "overflow-wrap": "anywhere" };

  /** Shows a dialog. `facts` are pairs of a name and a value; `onClose` runs when the person dismisses it. */
  function show({ title, facts, notices, onClose }) {
    const host = element("div", {});
    const root = host.attachShadow({ mode: "closed" });
    const dialog = element("dialog", BOX, undefined, { "aria-labelledby": "title", lang: "en", dir: "ltr" });
    const list = element("dl", FACTS);
    for (const [name, value] of facts) list.append(element("dt", FACT, name), element("dd", { ...FACT, "font-weight": "600" }, value));
    const status = element("p", { margin: "0.75rem 0 0", "overflow-wrap": "anywhere" }, "", { role: "status" });
    const buttons = element("div", ROW);
    dialog.append(
      element("h1", { font: "600 20px/1.3 system-ui, sans-serif", margin: "0" }, title, { id: "title" }),
      ...(facts.length ? [list] : []),
      ...notices.map((text) => element("p", { margin: "0.5rem 0 0" }, text)),
      status,
      buttons,
    );
    root.append(dialog);
    const close = () => {
      host.remove();
      onClose();
    };
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (event.isTrusted) close();
    });
    // The page's own shortcuts do not see what is typed here.
    for (const type of ["keydown", "keypress", "keyup"]) dialog.addEventListener(type, (event) => event.stopPropagation());
    document.documentElement.append(host);
    dialog.showModal();

    /** Replaces the sentence and the buttons. Only a person's own clicks count, not those that a script makes. */
    function update(text, actions) {
      status.textContent = text;
      const hadFocus = root.activeElement !== null;
      buttons.replaceChildren(...[...actions, { label: "Close", run: close }].map(({ label, run }) => {
        const button = element("button", BUTTON, label, { type: "button" });
        button.addEventListener("click", (event) => event.isTrusted && run());
        return button;
      }));
      if (hadFocus || actions.length) buttons.firstElementChild.focus();
    }
    return { update, close };
  }

  return { show };
})();
