// The cleaning queue. A decision takes effect on the page at once and is sent with the id and the state of the image the
// person saw. One request is under way at a time; what is decided meanwhile waits in line and goes out together with
// the next, in order, so that fast typing neither drops nor mixes up anything. The server says how far it has done them.
// What was not answered for is kept in the browser's session: Gradio reloads the page by itself when a connection breaks.
const root = element.querySelector('.queue');
const AHEAD = 8;
const RETRY = 15000;
const UNSAVED = 'winnow-clean-unsaved';
let view = null;
let rows = [];
let current = null;
let place = 0;
let waiting = [];
let history = [];
let number = 0;
const page = Math.random().toString(36).slice(2);
let sentAt = 0;
let wanted = false;
let local = null;

const indexOf = (id) => rows.findIndex((row) => row.id === id);
const shown = () => rows[indexOf(current)] || null;
const said = (label) => label.split('|').join(', ');
const numberKey = (index) => (index < 9 ? String(index + 1) : index === 9 ? '0' : '');

// --- talking to the server -----------------------------------------------------------------------------------

const send = () => {
  if (sentAt || (!waiting.length && !wanted)) return;
  sentAt = Date.now();
  wanted = false;
  const workspace = waiting.length ? waiting[0].workspace : view.workspace;
  const other = waiting.findIndex((action) => action.workspace !== workspace);
  const actions = waiting.slice(0, other < 0 ? waiting.length : other).map(bare);
  trigger('act', { page, workspace, actions, at: current });
};
const bare = ({ number, workspace, kind, id, label, seen }) => ({ number, workspace, kind, id, label, seen });
const queueUp = (action) => {
  waiting.push({ ...action, number: ++number });
  remember();
};
const remember = () => {
  if (waiting.length) sessionStorage.setItem(UNSAVED, JSON.stringify(waiting.map(bare)));
  else sessionStorage.removeItem(UNSAVED);
};
const receive = () => {
  const next = props.value;
  if (!next) return;
  if (!view || view.key !== next.key) history = [];
  view = next;
  if (next.page === page) {
    sentAt = 0;
    waiting = waiting.filter((action) => action.number > next.done_up_to);
    remember();
  }
  rows = next.rows.slice();
  for (const action of waiting) replay(action);
  if (next.message) local = { text: next.message, warning: next.warning };
  if (next.forget) history = [];
  if (next.focus && !waiting.length) current = next.focus;
  if (indexOf(current) < 0) {
    const row = rows[Math.min(Math.max(next.position - next.start, 0), rows.length - 1)];
    current = row ? row.id : null;
  }
  draw();
  send();
  look();
};
const replay = (action) => {
  const index = indexOf(action.id);
  if (action.kind !== 'undo') {
    if (index >= 0) rows.splice(index, 1);
  } else if (action.row && index < 0) {
    rows.splice(Math.min(action.index, rows.length), 0, action.row);
  }
};
const look = () => {
  const index = indexOf(current);
  const nearEnd = view.start + rows.length < view.shown && index > rows.length - AHEAD;
  const nearStart = view.start > 0 && index < AHEAD;
  const unmade = rows.slice(index, index + 2).some((row) => !row.large && !row.trouble);
  if (index >= 0 && (nearEnd || nearStart || unmade)) {
    wanted = true;
    send();
  }
};
const watchdog = setInterval(() => {
  if (!element.isConnected) return clearInterval(watchdog);
  if (!sentAt || Date.now() - sentAt < RETRY) return;
  sentAt = 0;
  local = { text: 'The server does not answer. ' + waiting.length + ' not saved yet; trying again…', warning: true };
  wanted = true;
  draw();
  send();
}, 1000);

// --- deciding ------------------------------------------------------------------------------------------------------

const decide = (kind, label) => {
  const row = shown();
  if (!row) return;
  const index = indexOf(row.id);
  rows.splice(index, 1);
  history.push({ row, index });
  queueUp({ workspace: view.workspace, kind, id: row.id, label: label ?? null, seen: row.seen });
  const words = { keep: 'Kept as ' + said(row.label), remove: 'Removed', relabel: said(row.label) + ' → ' + said(label ?? '') }[kind];
  local = { text: words + ': ' + row.name + '. U takes it back.', warning: false };
  const next = rows[index] || rows[index - 1];
  current = next ? next.id : null;
  draw();
  come();
  wanted = true;
  send();
};
const undo = () => {
  const last = history.pop();
  const action = { workspace: view.workspace, kind: 'undo', id: last ? last.row.id : null, label: null, seen: null };
  if (last) {
    Object.assign(action, last);
    if (indexOf(last.row.id) < 0) rows.splice(Math.min(last.index, rows.length), 0, last.row);
    current = last.row.id;
    local = { text: 'Taken back: ' + last.row.name, warning: false };
  }
  queueUp(action);
  draw();
  send();
};
const move = (step) => {
  const next = rows[indexOf(current) + step];
  if (!next) return;
  current = next.id;
  draw();
  come();
  look();
};
const come = () => {
  const box = stage.getBoundingClientRect();
  if (box.height && (box.top < 0 || box.bottom > window.innerHeight)) root.scrollIntoView({ block: 'start' });
};
const relabel = (name) => {
  const label = name.trim();
  if (label) decide('relabel', label);
};

// --- drawing ---------------------------------------------------------------------------------------------------------

const button = (words, key, name, act) => {
  const node = make('button', 'act');
  node.dataset.act = name;
  node.append(make('span', '', words));
  if (key) node.append(make('kbd', '', key));
  node.title = words + (key ? ' (' + key + ')' : '');
  node.addEventListener('click', act);
  return node;
};

const bar = make('div', 'bar');
const counter = make('span', 'counter');
const meter = make('div', 'meter');
const filled = make('div');
const message = make('p', 'message');
const empty = make('p', 'empty');
const desk = make('div', 'desk');
const stage = make('div', 'stage');
const facts = make('div', 'facts');
const acts = make('div', 'acts');
const classes = make('div', 'classes');
const form = make('form', 'new');
const field = make('input');
const names = make('datalist');
const strip = make('div', 'strip');
const help = make('dialog');
const undoButton = button('Undo', 'U', 'undo', undo);
const helpButton = button('?', '', 'help', () => help.showModal());

const build = () => {
  meter.append(filled);
  helpButton.classList.add('help-button');
  helpButton.setAttribute('aria-label', 'Help');
  bar.append(counter, meter, undoButton, helpButton);
  message.setAttribute('role', 'status');
  acts.append(
    button('Keep', 'K', 'keep', () => decide('keep')),
    button('Remove', 'D', 'remove', () => decide('remove')),
    button('Back', '←', 'back', () => move(-1)),
    button('Skip', '→', 'next', () => move(1)),
  );
  field.placeholder = 'Other or new class';
  field.setAttribute('aria-label', 'Other or new class');
  field.maxLength = 100;
  field.autocomplete = 'off';
  names.id = 'clean-names-' + Math.random().toString(36).slice(2);
  field.setAttribute('list', names.id);
  const submit = button('Relabel', '', 'relabel', () => {});
  submit.type = 'submit';
  form.append(field, names, submit);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    relabel(field.value);
    field.value = '';
    field.blur();
  });
  const side = make('div', 'side');
  side.append(facts, acts, classes, form);
  desk.append(stage, side);
  const list = make('dl');
  for (const [key, words] of [
    ['1 … 9, 0', 'relabel to that class'], ['K', 'keep: the label is right'], ['D', 'take the image out'],
    ['S', 'take the suggested label'], ['N', 'type another or a new class'], ['U', 'undo the last decision'],
    ['← →', 'look back and forth without deciding'], ['?', 'this help'],
  ]) {
    const term = make('dt');
    term.append(make('kbd', '', key));
    list.append(term, make('dd', '', words));
  }
  const close = button('Close', 'Esc', 'close', () => help.close());
  help.append(list, make('p', 'quiet', 'Every decision is saved at once and can be undone.'), close);
  root.append(bar, message, empty, desk, strip, help);
};

const display = (node, yes) => {
  node.style.display = yes ? '' : 'none';
};
const drawPicture = (row) => {
  if (stage.dataset.id === row.id && stage.dataset.large === String(row.large)) return;
  stage.dataset.id = row.id;
  stage.dataset.large = String(row.large);
  stage.replaceChildren();
  if (row.thumbnail) stage.append(picture(row.thumbnail, '', 'small'));
  if (row.large) stage.append(picture(row.large, 'Picture labelled ' + said(row.label), 'large'));
  if (row.trouble) stage.append(make('p', 'empty', row.trouble));
};
const drawFacts = (row) => {
  const now = make('p');
  now.append(make('span', 'quiet', 'Label now '), make('span', 'label', said(row.label)));
  const idea = make('p');
  if (row.suggested !== row.label) {
    const words = said(row.suggested) + ' (' + percent(row.suggested_probability) + ')';
    idea.append(make('span', 'quiet', 'Suggested '), make('b', '', words), make('kbd', '', 'S'));
  } else {
    idea.append(make('span', 'quiet', 'No other label suggested'));
  }
  facts.replaceChildren(now, idea, make('p', '', row.why), make('p', 'quiet', row.name + ' · ' + row.split));
};
const drawClasses = (row) => {
  const all = JSON.stringify(view.classes);
  if (classes.dataset.all !== all) {
    classes.dataset.all = all;
    classes.replaceChildren(
      ...view.classes.map((name, index) => button(name, numberKey(index), 'class', () => relabel(name))),
    );
    names.replaceChildren(...view.classes.map((name) => Object.assign(make('option'), { value: name })));
  }
  view.classes.forEach((name, index) => {
    classes.children[index].classList.toggle('now', row.label.split('|').includes(name));
    classes.children[index].classList.toggle('suggested', name === row.suggested && name !== row.label);
  });
};
const drawStrip = () => {
  const index = indexOf(current);
  const nodes = rows.slice(Math.max(0, index - 6), index + 18).map((row) => {
    const node = make('button');
    node.setAttribute('aria-current', String(row.id === current));
    node.setAttribute('aria-label', said(row.label) + ', ' + row.name);
    node.title = said(row.label) + (row.suggested !== row.label ? ' → ' + said(row.suggested) + '?' : '');
    node.append(row.thumbnail ? picture(row.thumbnail, said(row.label)) : make('span', 'quiet', said(row.label)));
    node.addEventListener('click', () => {
      current = row.id;
      draw();
      look();
    });
    return node;
  });
  strip.replaceChildren(...nodes);
  const now = strip.querySelector('[aria-current="true"]');
  if (now) strip.scrollLeft = now.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + now.clientWidth / 2;
};
const preload = () => {
  for (const row of rows.slice(indexOf(current) + 1, indexOf(current) + 5)) {
    if (row.large) new Image().src = address(row.large);
  }
};
const draw = () => {
  const net = waiting.reduce((sum, action) => sum + (action.kind === 'undo' ? -1 : 1), 0);
  const [done, left] = [Math.max(0, view.done + net), Math.max(0, view.left - net)];
  counter.textContent = view.run ? done + ' done, ' + left + ' left' + (view.filter ? ', ' + view.filter : '') : '';
  filled.style.width = (done + left ? (100 * done) / (done + left) : 0) + '%';
  display(bar, view.run);
  message.textContent = local ? local.text : '';
  message.classList.toggle('warning', Boolean(local && local.warning));
  root.dataset.unsaved = waiting.length;
  root.dataset.done = done;
  const row = shown();
  root.dataset.id = row ? row.id : '';
  display(desk, row);
  display(strip, row);
  display(empty, !row);
  empty.textContent = row ? '' : view.empty || 'Nothing is left in this queue.';
  if (!row) return;
  drawPicture(row);
  drawFacts(row);
  drawClasses(row);
  drawStrip();
  preload();
};

// --- keys -------------------------------------------------------------------------------------------------------

const busy = (target) =>
  Boolean(target.closest?.('input, textarea, select, [contenteditable="true"], [role="combobox"], [role="listbox"]'));
const keys = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', keys);
  if (!view || element.offsetParent === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === field && event.key === 'Escape') return field.blur();
  if (help.open || document.querySelector('dialog[open]') || busy(event.target)) return;
  const key = event.key.toLowerCase();
  const row = shown();
  const act = {
    k: () => decide('keep'), d: () => decide('remove'), u: undo, '?': () => help.showModal(),
    arrowleft: () => move(-1), arrowright: () => move(1), n: () => field.focus(),
    s: () => row && row.suggested !== row.label && decide('relabel', row.suggested),
  }[key];
  const chosen = /^[0-9]$/.test(key) ? view.classes[key === '0' ? 9 : +key - 1] : null;
  if (!act && !chosen) return;
  event.preventDefault();
  if (event.repeat && !key.startsWith('arrow')) return;
  if (act) act();
  else relabel(chosen);
};
document.addEventListener('keydown', keys);
window.addEventListener('beforeunload', (event) => {
  if (element.isConnected && waiting.length) event.preventDefault();
});

build();
JSON.parse(sessionStorage.getItem(UNSAVED) || '[]').forEach(queueUp);
if (waiting.length) local = { text: 'Sent now: ' + waiting.length + ' decided before the page was reloaded.', warning: false };
watch('value', receive);
receive();
