// Elements of the document. Text comes in as text, never as markup: what apps say is anybody's.

function make(created, kind, properties, children) {
  const { text, on, data, ...attributes } = typeof properties === "object" ? properties : { text: properties };
  if (kind) created.setAttribute("class", kind);

  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) created.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) created.setAttribute(name, value);
  }
  for (const [name, value] of Object.entries(data ?? {})) created.dataset[name] = value;
  for (const [name, listener] of Object.entries(on ?? {})) created.addEventListener(name, listener);
  if (text !== undefined) created.textContent = text;
  created.append(...children.filter((child) => child !== null && child !== undefined));
  return created;
}

/** An element of HTML, `tag` or `tag.class`, with attributes, `text`, `on` (listeners) and `data` (`data-…`); or with a text alone. */
export function element(name, properties = {}, ...children) {
  const [tag, kind] = name.split(".");
  return make(document.createElement(tag), kind, properties, children);
}

/** An element of SVG. */
export function drawn(name, properties = {}, ...children) {
  const [tag, kind] = name.split(".");
  return make(document.createElementNS("http://www.w3.org/2000/svg", tag), kind, properties, children);
}

export const by = (id) => document.getElementById(id);

/** Sets what has changed and nothing else, so that nothing is drawn or read out again for nothing. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function attribute(node, name, value) {
  if (value === null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** Has a parent these children in this order, moving as few as possible. */
export function arrange(parent, children) {
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

export const button = (text, click, more = {}) => element("button", { type: "button", text, on: { click }, ...more });

/** One of several, by arrow keys, too (ARIA Authoring Practices, tabs). */
export function tabs(names, label, chosen, choose) {
  const list = element("div", { role: "tablist", "aria-label": label, class: "tabs" });
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = names.findIndex(([key]) => key === event.target.dataset.tab);
    const next = { Home: 0, End: names.length - 1 }[event.key] ?? (step ? (at + step + names.length) % names.length : null);
    if (next === null) return;
    event.preventDefault();
    choose(names[next][0]);
    by(`tab-${names[next][0]}`)?.focus();
  };
  for (const [key, title] of names) {
    const tab = button(title, () => choose(key), {
      role: "tab", id: `tab-${key}`, "aria-controls": "panel", "aria-selected": String(key === chosen), tabindex: key === chosen ? 0 : -1, data: { tab: key },
    });
    tab.addEventListener("keydown", move);
    list.append(tab);
  }
  return list;
}
