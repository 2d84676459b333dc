// The table of what to search for: a class a row, and the words to search for it with.
import { make, near } from '../page/common.js';

const root = element.querySelector('.classes');
const list = make('div', 'rows');
let made = 0;

const rows = () => [...list.children];
/** @param {Element} row */
const pair = (row) => [...row.querySelectorAll('input')].map((field) => field.value);
const publish = () => {
  props.value = rows().map(pair);
};
/** @param {string} kind @param {string} name @param {string} value */
const field = (kind, name, value) => {
  const input = make('input', kind);
  input.type = 'text';
  input.maxLength = 300;
  input.value = value;
  input.autocomplete = 'off';
  input.setAttribute('aria-label', name);
  return input;
};
/** @param {Element} row */
const hint = (row) => {
  const [label, query] = row.querySelectorAll('input');
  query.placeholder = label.value.trim() || (query.dataset.hint ?? '');
};
const EXAMPLES = [['grizzly', 'grizzly bear'], ['black bear', 'black bear'], ['teddy', 'teddy bear']];

/** @param {string} label @param {string} query @param {Element} [before] */
const add = (label, query, before) => {
  const row = make('div', 'row');
  const example = EXAMPLES[made % EXAMPLES.length];
  made += 1;
  const name = field('label', 'Class', label);
  const words = field('query', 'Search for', query);
  name.placeholder = example[0];
  words.dataset.hint = example[1];
  const remove = make('button', 'remove', '×');
  remove.setAttribute('aria-label', 'Take this class out');
  remove.title = 'Take this class out';
  row.append(name, words, remove);
  list.insertBefore(row, before || null);
  hint(row);
  return row;
};
/** @param {Element} row */
const takeOut = (row) => {
  const next = row.nextElementSibling || row.previousElementSibling || add('', '');
  row.remove();
  next.querySelector('input').focus();
  publish();
};
/** @param {Element} row @param {string} kind */
const down = (row, kind) => {
  const next = row.nextElementSibling || add('', '');
  next.querySelector(kind).focus();
  publish();
};
// Lines "class = words", or two columns of a spreadsheet, become rows.
/** @param {Element} row @param {string} text */
const spread = (row, text) => {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  for (const line of lines) {
    const [, label, query] = line.match(/^([^=\t]*)(?:[=\t](.*))?$/s) ?? ['', '', ''];
    add(label.trim(), (query || '').trim(), row);
  }
  const next = row.previousElementSibling;
  if (!pair(row).some((text) => text.trim())) row.remove();
  next?.querySelector('input').focus();
  publish();
};

element.addEventListener('input', (event) => {
  const row = near(event, '.row');
  if (!row) return;
  hint(row);
  publish();
});
element.addEventListener('keydown', (event) => {
  const input = near(event, 'input');
  const row = input?.closest('.row');
  if (event.key !== 'Enter' || event.isComposing || !input || !row) return;
  event.preventDefault();
  down(row, '.' + input.className);
});
element.addEventListener('paste', (event) => {
  const row = near(event, '.row');
  const text = event.clipboardData?.getData('text/plain') ?? '';
  if (!row || !text.trim().includes('\n')) return;
  event.preventDefault();
  spread(row, text);
});
element.addEventListener('click', (event) => {
  const button = near(event, 'button');
  if (!button) return;
  const row = button.closest('.row');
  if (row) takeOut(row);
  else add('', '').querySelector('input').focus();
});

const head = make('div', 'head quiet');
head.append(make('span', '', 'Class'), make('span', '', 'Search for'));
root.append(head, list, make('button', 'act', 'Add a class'));
for (const [label, query] of props.value || []) add(label, query);
while (list.children.length < 2) add('', '');
