// How a folder, an archive or a table is read, before anything of it is stored: to be confirmed, or read otherwise.
import { action, make, near, picture } from '../page/common.js';

/**
 * @typedef {{ label: string, counts: number[], pictures: string[] }} Class
 * @typedef {{ text: string, choices: string[] }} Question
 * @typedef {{ name: string, words: string, column: string }} Asked
 * @typedef {{ number: number, rows: { before: string, after: string, picture: string }[] }} Differ
 * @typedef {{ table: string, columns: string[], rows: string[][], asked: Asked[] }} Table
 *
 * @typedef {object} View
 * @property {string} workspace
 * @property {string} job  the job that read; empty: no reading waits
 * @property {string} source
 * @property {string} layout
 * @property {string[]} splits  those that pictures were given; empty for none
 * @property {Class[]} classes
 * @property {number} more
 * @property {string[]} notes
 * @property {string[]} failed
 * @property {number} more_failed
 * @property {Question[]} questions
 * @property {string[]} others
 * @property {Table[]} columns
 * @property {Differ} [differ]  all of it is stored, but for labels that differ
 */

const root = element.querySelector('.reading');
let drawn = '';

/** @param {number} number */
const told = (number) => number.toLocaleString('en');
/** @param {string} words */
const title = (words) => make('h4', '', words);

/** @param {View} view @param {Class} item */
const classRow = (view, item) => {
  const box = make('li', item.label ? '' : 'none');
  const words = make('div', 'words');
  const total = item.counts.reduce((sum, number) => sum + number, 0);
  words.append(make('b', 'name', item.label || 'without a class'), make('span', 'quiet', told(total)));
  const parts = view.splits.map((split, i) => (item.counts[i] ? told(item.counts[i]) + ' ' + (split || 'without a split') : ''));
  if (view.splits.some((split, i) => split && item.counts[i])) words.append(make('span', 'quiet', '(' + parts.filter(Boolean).join(', ') + ')'));
  const strip = make('div', 'strip');
  strip.append(...item.pictures.map((path) => picture(path, item.label || 'without a class')));
  box.append(words, strip);
  return box;
};
/** @param {Question} question @param {number} number */
const asking = (question, number) => {
  const box = make('fieldset', 'question');
  box.append(make('legend', '', question.text));
  question.choices.forEach((words, i) => {
    const line = make('label');
    const radio = make('input');
    radio.type = 'radio';
    radio.name = 'reading-question-' + number;
    radio.value = String(i);
    radio.checked = i === 0;
    line.append(radio, make('span', '', words));
    box.append(line);
  });
  return box;
};
/** @param {Table} table @param {boolean} first  the one that is believed first: its columns can be chosen */
const chooser = (table, first) => {
  const box = make('details', 'table');
  box.append(make('summary', '', 'Columns of ' + table.table));
  const grid = make('table');
  const head = make('tr');
  const marks = new Map(table.asked.map((asked) => [asked.column, asked.words]));
  for (const column of table.columns) {
    const cell = make('th', marks.has(column) ? 'used' : '', column);
    if (marks.has(column)) cell.append(make('span', 'quiet', marks.get(column)));
    head.append(cell);
  }
  grid.append(head, ...table.rows.map((row) => {
    const line = make('tr');
    line.append(...row.map((cell) => make('td', '', cell)));
    return line;
  }));
  const scroll = make('div', 'scroll');
  scroll.tabIndex = 0;
  scroll.append(grid);
  box.append(scroll);
  if (!first) return box;
  const choices = make('div', 'columns');
  for (const asked of table.asked) {
    const line = make('label', '', asked.words);
    const select = make('select');
    select.dataset.column = asked.name;
    for (const column of ['', ...table.columns]) {
      const option = make('option', '', column || '–');
      option.value = column;
      select.append(option);
    }
    select.value = asked.column;
    line.append(select);
    choices.append(line);
  }
  box.append(choices, action('Read it so', 'columns'));
  return box;
};

/** @param {Differ} differ */
const differing = (differ) => {
  const one = differ.number === 1;
  const list = make('ul', 'differ');
  list.append(...differ.rows.map((row) => {
    const box = make('li');
    const words = make('span');
    words.append(make('s', 'quiet', row.before), ' ', make('b', '', row.after));
    box.append(picture(row.picture, row.after), words);
    return box;
  }));
  const bar = make('div', 'bar');
  const take = action(one ? 'Take the new label' : 'Take the new labels', 'take');
  take.classList.add('primary');
  bar.append(take, action(one ? 'Keep the one that is here' : 'Keep those that are here', 'drop'));
  bar.append(make('span', 'quiet', 'Taking them can be undone in Clean.'));
  const words = one ? '1 label differs' : told(differ.number) + ' labels differ';
  const why = 'These pictures were here already, under another label than what was imported now.';
  return [make('h3', '', words), make('p', 'layout', why), list, bar];
};
/** @param {View} view */
const parts = (view) => {
  if (view.differ) return differing(view.differ);
  const list = make('ul', 'classes');
  list.append(...view.classes.map((item) => classRow(view, item)));
  /** @type {HTMLElement[]} */
  const parts = [make('h3', '', view.source ? 'How ' + view.source + ' is read' : 'How it is read'), make('p', 'layout', view.layout), list];
  if (view.more) parts.push(make('p', 'quiet', 'and ' + told(view.more) + ' more classes'));
  parts.push(...view.questions.map(asking));
  if (view.notes.length || view.failed.length) {
    const notes = make('ul', 'notes');
    notes.append(...view.notes.map((note) => make('li', '', note)), ...view.failed.map((words) => make('li', 'failed', words)));
    if (view.more_failed) notes.append(make('li', 'failed', 'and ' + told(view.more_failed) + ' more that are not taken'));
    parts.push(title('Good to know'), notes);
  }
  const bar = make('div', 'bar');
  const take = action('Take these pictures', 'take');
  take.classList.add('primary');
  bar.append(take, action('Not these', 'drop'), make('span', 'quiet', 'Nothing is stored yet.'));
  parts.push(bar);
  if (view.others.length) {
    const others = make('div', 'others');
    view.others.forEach((words, i) => {
      const button = action(words, 'other');
      button.dataset.other = String(i);
      others.append(button);
    });
    parts.push(title('It could also be read so'), others);
  }
  parts.push(...view.columns.map((table, i) => chooser(table, i === 0)));
  return parts;
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  const what = view?.job ? view.workspace + ' ' + view.job : '';
  if (what === drawn) return; // the answers that a person has given stay
  drawn = what;
  root.replaceChildren(...(view?.job ? parts(view) : []));
};

/** What a person has answered so far. */
const answers = () => [...root.querySelectorAll('.question')].map((box) => {
  const radio = box.querySelector('input:checked');
  return radio instanceof HTMLInputElement ? Number(radio.value) : 0;
});
/** @param {string} name @param {object} [more] */
const send = (name, more) => {
  const { workspace, job } = props.value;
  trigger(name, { workspace, job, answers: answers(), ...more });
};
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button || button.disabled) return;
  if (button.dataset.do === 'take' || button.dataset.do === 'drop') send(button.dataset.do);
  else if (button.dataset.do === 'other') send('again', { other: Number(button.dataset.other) });
  else if (button.dataset.do === 'columns') {
    const chosen = [...root.querySelectorAll('select')].map((select) => [select.dataset.column, select.value]);
    send('again', { columns: Object.fromEntries(chosen) });
  }
});
watch('value', draw);
draw();
