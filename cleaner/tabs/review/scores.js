// Precision, recall and F1 of each class with 95 % intervals: a header sorts, a row or a number shows its images.
import { keepFocus, make, near } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {[share: number | null, low: number, high: number]} Share
 * @typedef {{ name: string, n: number, recall: Share, precision: Share, f1: Share }} Row
 * @typedef {[name: keyof Row, words: string, kind: string]} Column
 */

const root = element.querySelector('.scores');
/** @type {Column[]} */
const COLUMNS = [
  ['name', 'class', 'labelled'], ['n', 'images', 'labelled'], ['recall', 'recall', 'labelled'],
  ['precision', 'precision', 'called'], ['f1', 'F1', 'concerned'],
];
/** @type {keyof Row} */
let by = 'f1';
let way = 1; // 1: from low to high

/** @param {Row} row @param {keyof Row} name */
const value = (row, name) => (Array.isArray(row[name]) ? (row[name][0] ?? -1) : row[name]);
/** @param {Row[]} rows */
const sorted = (rows) =>
  [...rows].sort((a, b) => {
    const [one, other] = [value(a, by), value(b, by)];
    return way * (by === 'name' ? one.localeCompare(other) : one - other) || a.name.localeCompare(b.name);
  });
/** @param {number} share */
const points = (share) => (100 * share).toFixed(1);
/** @param {Column} column */
const header = ([name, words]) => {
  const box = make('th', name === 'name' ? '' : 'number');
  box.scope = 'col';
  box.setAttribute('aria-sort', by !== name ? 'none' : way > 0 ? 'ascending' : 'descending');
  const button = make('button', '', words + (by !== name ? '' : way > 0 ? ' ▲' : ' ▼'));
  button.dataset.by = name;
  box.append(button);
  return box;
};
/** @param {Row} row @param {Column} column */
const cell = (row, [name, words, kind]) => {
  const box = make(name === 'name' ? 'th' : 'td', name === 'name' ? '' : 'number');
  if (name === 'name') box.scope = 'row';
  const button = make('button');
  Object.assign(button.dataset, { kind, name: row.name, column: name });
  if (!Array.isArray(row[name])) button.append(make('span', 'name', row[name].toLocaleString('en')));
  else {
    const [share, low, high] = row[name];
    button.append(make('span', '', share === null ? '–' : points(share) + '%'));
    if (share !== null) button.append(make('span', 'quiet', points(low) + '–' + points(high)));
    button.setAttribute('aria-label', `${words} of ${row.name}: ${button.textContent}`);
  }
  button.title = row.name;
  if (name !== 'name' && name !== 'precision' && name !== 'f1') button.tabIndex = -1; // the name leads to the same
  box.append(button);
  return box;
};
/** @param {{ rows: Row[] }} view */
const whole = (view) => {
  const [table, head, body, top] = [make('table'), make('thead'), make('tbody'), make('tr')];
  top.append(...COLUMNS.map(header));
  head.append(top);
  for (const row of sorted(view.rows)) {
    const line = make('tr');
    line.append(...COLUMNS.map((column) => cell(row, column)));
    body.append(line);
  }
  table.append(head, body);
  const scroll = make('div', 'scroll');
  scroll.append(table);
  root.replaceChildren(scroll);
};
const draw = () => {
  const view = props.value;
  if (!view || !view.rows.length) return root.replaceChildren();
  const down = root.querySelector('.scroll')?.scrollTop ?? 0;
  keepFocus(root, () => whole(view), 'th button');
  root.querySelector('.scroll').scrollTop = down;
};

element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button) return;
  if (button.dataset.kind) return trigger('choose', { kind: button.dataset.kind, first: button.dataset.name, second: '' });
  const next = COLUMNS.find(([name]) => name === button.dataset.by)?.[0] ?? by;
  way = by === next ? -way : next === 'n' ? -1 : 1;
  by = next;
  draw();
});
watch('value', draw);
draw();
