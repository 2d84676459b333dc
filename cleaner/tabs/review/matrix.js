// The confusion matrix with its margins: click, or arrow keys and Enter, on a number shows its images.
import { keepFocus, make, near, percent, switchOf } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {[wrong: number, all: number]} Margin
 * @typedef {object} View
 * @property {string} key
 * @property {string[]} classes
 * @property {number[][]} counts
 * @property {Margin[]} missed
 * @property {Margin[]} invented
 * @property {Margin} wrong
 * @property {string} note
 * @property {string} [empty]
 */

const root = element.querySelector('.matrix');
const MANY = 9; // more classes than fit into half of the page
/** @type {string | null} */
let chosen = null;
let key = ''; // of the matrix that is drawn
let shares = false; // whether a cell shows its share of the row

/** @param {HTMLElement} button */
const place = (button) => button.dataset.i + ',' + button.dataset.j;
/** @param {HTMLElement} button */
const choose = (button) => {
  chosen = place(button);
  mark();
  const { classes } = props.value;
  const [first, second] = [classes[Number(button.dataset.i)] ?? '', classes[Number(button.dataset.j)] ?? ''];
  trigger('choose', { kind: button.dataset.kind, first, second });
};
const mark = () => {
  for (const button of root.querySelectorAll('td button')) {
    button.setAttribute('aria-pressed', String(place(button) === chosen));
  }
};
/** @param {HTMLButtonElement} button @param {number} i @param {number} j @param {string} kind @param {string} words */
const at = (button, i, j, kind, words) => {
  Object.assign(button.dataset, { i, j, kind });
  button.tabIndex = i === 0 && j === 0 ? 0 : -1;
  button.title = words;
  button.setAttribute('aria-label', words);
  const box = make('td');
  box.append(button);
  return box;
};
/** @param {View} view @param {number} i @param {number} j */
const cell = (view, i, j) => {
  const count = view.counts[i][j];
  const total = view.missed[i][1];
  const share = total ? count / total : 0;
  const button = make('button', count === 0 ? 'zero' : i === j ? 'right' : 'wrong', shares ? percent(share) : count);
  button.style.setProperty('--share', String(share));
  const words = i === j ? ' recognised' : ' taken for ' + view.classes[j];
  return at(button, i, j, 'cell', count + ' × ' + view.classes[i] + words + ' (' + percent(share) + ')');
};
/** @param {View} view @param {number} i @param {number} j @param {string} kind @param {Margin} margin @param {string} words */
const margin = (view, i, j, kind, [wrong, all], words) => {
  const button = make('button', 'margin ' + kind);
  button.append(make('b', '', shares ? percent(all ? wrong / all : 0) : wrong), make('span', 'quiet', '/ ' + all));
  return at(button, i, j, kind, wrong + ' of ' + all + ' ' + words);
};
/** @param {string} scope @param {string} name @param {string} [className] */
const header = (scope, name, className) => {
  const box = make('th', className);
  box.scope = scope;
  box.title = name;
  box.append(make('span', '', name));
  return box;
};
/** @param {View} view */
const rows = (view) => {
  const last = view.classes.length;
  const list = view.classes.map((name, i) => {
    const row = make('tr');
    row.append(header('row', name), ...view.classes.map((_, j) => cell(view, i, j)));
    row.append(margin(view, i, last, 'missed', view.missed[i], name + ' answered wrongly'));
    return row;
  });
  const bottom = make('tr');
  bottom.append(header('row', 'wrong / all', 'quiet'));
  bottom.append(...view.classes.map((name, j) => margin(view, last, j, 'invented', view.invented[j], 'called ' + name + ' wrongly')));
  bottom.append(margin(view, last, last, 'wrong', view.wrong, 'answered wrongly'));
  return [...list, bottom];
};
const WAYS = [['counts', 'Counts'], ['shares', '% of the row']];
/** @param {View} view */
const whole = (view) => {
  const table = make('table');
  const head = make('tr');
  head.append(make('td'), ...view.classes.map((name) => header('col', name)), header('col', 'wrong / all', 'quiet'));
  const [above, body] = [make('thead'), make('tbody')];
  above.append(head);
  body.append(...rows(view));
  table.append(above, body);
  const scroll = make('div', 'scroll');
  scroll.append(table);
  const ways = switchOf('What the cells show', WAYS, shares ? 'shares' : 'counts');
  root.replaceChildren(make('p', 'axis quiet', view.note), ways, scroll);
  mark();
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  root.classList.toggle('many', (view?.classes?.length ?? 0) > MANY);
  if (!view || !view.classes.length) return root.replaceChildren(...(view?.empty ? [make('p', 'empty', view.empty)] : []));
  if (view.key !== key) chosen = null;
  key = view.key;
  keepFocus(root, () => whole(view), 'td button');
};

element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button) return;
  if (button.dataset.kind) return choose(button);
  shares = button.dataset.way === 'shares';
  draw();
});
element.addEventListener('keydown', (event) => {
  const button = near(event, 'td button');
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!button || !step) return;
  event.preventDefault();
  const [i, j] = [Number(button.dataset.i) + step[0], Number(button.dataset.j) + step[1]];
  const next = root.querySelector(`td button[data-i="${i}"][data-j="${j}"]`);
  if (!next) return;
  button.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
watch('value', draw);
draw();
