// Shared by all components. Data reaches the page by textContent and attributes, never as HTML.

/**
 * An element with a class and a text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string | number | null} [text]
 */
export const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = String(text);
  if (node instanceof HTMLButtonElement) node.type = 'button';
  return node;
};
/**
 * The same of a drawing.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
export const svg = (tag, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  return node;
};
/** Where the app serves the file at that path. @param {string} path */
export const address = (path) =>
  (window.gradio_config?.root || '') + '/gradio_api/file=' + path.split('/').map(encodeURIComponent).join('/');
/** @param {number} share */
export const percent = (share) => {
  const shown = 100 * share;
  return (shown > 0 && shown < 1 ? '<1' : shown < 100 && shown > 99 ? '>99' : Math.round(shown)) + '%';
};
/** @param {string | null} path @param {string} alt @param {string} [className] */
export const picture = (path, alt, className) => {
  const image = make('img', className);
  image.alt = alt;
  image.decoding = 'async';
  if (path) image.src = address(path);
  return image;
};
/** A button that does what `name` says (its data-do). @param {string} words @param {string} name @param {boolean} [possible] */
export const action = (words, name, possible = true) => {
  const button = make('button', 'act', words);
  button.dataset.do = name;
  button.disabled = !possible;
  return button;
};
/** A switch: one of the ways [name, words] holds; a button's data-way is its name. @param {string} label @param {string[][]} ways @param {string} now */
export const switchOf = (label, ways, now) => {
  const box = make('div', 'choice');
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', label);
  for (const [name, words] of ways) {
    const button = make('button', 'act', words);
    button.dataset.way = name;
    button.setAttribute('aria-pressed', String(name === now));
    box.append(button);
  }
  return box;
};
/** "Previous" (data-do="back") and "Next" ("on"), with the place between them. @param {{ page: number, pages: number }} view */
export const pager = ({ page, pages }) => {
  const box = make('div', 'pager');
  const place = make('span', 'quiet', 'page ' + (page + 1).toLocaleString('en') + ' of ' + pages.toLocaleString('en'));
  box.append(action('Previous', 'back', page > 0), place, action('Next', 'on', page + 1 < pages));
  return box;
};
/**
 * What is around the place of an event and fits the selector.
 * @template {keyof HTMLElementTagNameMap} K
 * @overload
 * @param {Event} event
 * @param {K} selector
 * @returns {HTMLElementTagNameMap[K] | null}
 */
/**
 * @overload
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
/** @param {Event} event @param {string} selector @returns {HTMLElement | null} */
export function near({ target }, selector) {
  return target instanceof Element ? target.closest(selector) : null;
}
/** What has the focus, where it is in there. @param {Element} root @returns {HTMLElement | null} */
export const focused = (root) => {
  const { activeElement: active } = document;
  return active instanceof HTMLElement && root.contains(active) ? active : null;
};
/** Redraw and give the focus back to the button with the same data, or else to what `otherwise` selects. @param {HTMLElement} root @param {() => void} redraw @param {string} otherwise */
export const keepFocus = (root, redraw, otherwise) => {
  const before = focused(root);
  const had = before && Object.entries(before.dataset);
  redraw();
  if (!had) return;
  const same = (/** @type {HTMLElement} */ button) => had.length && had.every(([key, value]) => button.dataset[key] === value);
  const button = [...root.querySelectorAll('button')].find(same);
  (button && !button.disabled ? button : root.querySelector(otherwise))?.focus({ preventScroll: true });
};
/** Arrow keys, Home and End among buttons that lie in rows; one of them is in the order of Tab. @param {KeyboardEvent} event @param {HTMLElement[]} buttons */
export const walk = (event, buttons) => {
  const from = near(event, 'button');
  const here = from ? buttons.indexOf(from) : -1;
  if (here < 0) return;
  const place = (/** @type {HTMLElement} */ button) => {
    const box = button.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [x, y] = place(buttons[here]);
  const vertical = (/** @type {number} */ way) => {
    const beyond = buttons.filter((button) => way * (place(button)[1] - y) > 8);
    const near = Math.min(...beyond.map((button) => way * (place(button)[1] - y)));
    const row = beyond.filter((button) => way * (place(button)[1] - y) < near + 8);
    const [best] = row.sort((a, b) => Math.abs(place(a)[0] - x) - Math.abs(place(b)[0] - x));
    return best;
  };
  const to = {
    ArrowLeft: () => buttons[here - 1], ArrowRight: () => buttons[here + 1],
    ArrowUp: () => vertical(-1), ArrowDown: () => vertical(1),
    Home: () => buttons[0], End: () => buttons[buttons.length - 1],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  const target = to();
  if (!target) return;
  buttons[here].tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
};

// --- messages that the server answers for ----------------------------------------------------------------------------

/**
 * A page numbers what it sends, and each view says how far the server has come with it: a view that was made before the
 * last message cannot know what it asked for.
 * @typedef {{ page: string, sent: number, answered: number }} Talk
 */
/** @returns {Talk} */
export const newTalk = () => ({ page: Math.random().toString(36).slice(2), sent: 0, answered: 0 });
/** After one message more; `stamp` goes with it. @param {Talk} talk @returns {Talk} */
export const numbered = (talk) => ({ ...talk, sent: talk.sent + 1 });
/** @param {Talk} talk */
export const stamp = ({ page, sent }) => ({ page, number: sent });
/** After an answer, which may be to another page. @param {Talk} talk @param {{ page: string, number: number }} answer @returns {Talk} */
export const heard = (talk, { page, number }) =>
  page === talk.page ? { ...talk, answered: Math.max(talk.answered, number) } : talk;
/**
 * What a person opened last in a component: the number of that message, and what it said.
 * @typedef {{ asked: number, told: Record<string, any> | null }} Opened
 */
/** After something was opened, beside a view. @param {Opened} opened @param {{ asked: number }} view @param {Record<string, any>} told @returns {Opened} */
export const opening = (opened, view, told) => ({ asked: Math.max(opened.asked, view.asked) + 1, told });
/** Whether the filling of a view was begun before that, and ended after it: it is to be asked for again, not to be shown. @param {Opened} opened @param {{ asked: number, workspace: string }} view */
export const isStale = (opened, view) =>
  opened.told !== null && opened.told.workspace === view.workspace && view.asked < opened.asked;
/** Whether the server is done with everything, or with this message and those before it. @param {Talk} talk */
export const isDone = (talk, number = talk.sent) => number <= talk.answered;
