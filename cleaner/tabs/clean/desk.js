// One picture at a time: the picture, what is known about it, the classes, and the film strip.
const LETTERS = 'bcefjlmopqrtvwxyz'; // those that are no commands
const MATCHES = 24;

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
const pace = make('span', 'quiet pace');
const meter = make('div', 'meter');
const filled = make('div');
const outlook = make('p', 'outlook');
const message = make('p', 'message');
const empty = make('p', 'empty');
const desk = make('div', 'desk');
const stage = make('div', 'stage');
const tiles = make('div', 'tiles');
const facts = make('div', 'facts');
const acts = make('div', 'acts');
const classes = make('div', 'classes');
const form = make('form', 'new');
const field = make('input');
const hint = make('p', 'quiet hint');
const strip = make('div', 'strip');
const undoButton = button('Undo', 'U', 'undo', undo);
const modeButton = button('Many at once', 'G', 'mode', () => setMany(!many));
const confirmButton = button('Confirm', 'Enter', 'confirm', () => confirm());

const display = (node, yes) => {
  node.style.display = yes ? '' : 'none';
};
const drawPicture = (row) => {
  if (stage.dataset.id === row.id && stage.dataset.large === String(row.large) && !row.taken) return;
  stage.dataset.id = row.id;
  stage.dataset.large = String(row.large);
  stage.replaceChildren();
  if (row.thumbnail) stage.append(picture(row.thumbnail, '', 'small'));
  if (row.large) stage.append(largeOf(row));
  if (row.trouble) stage.append(make('p', 'empty', row.trouble));
  if (row.taken) stage.append(make('p', 'taken', 'Somebody else decided on it: ' + row.taken));
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
  const chosen = [...drafted(row)].sort().join('|');
  const changed = make('p');
  if (view.several && chosen !== row.label) {
    changed.append(make('span', 'quiet', 'To be '), make('b', '', said(chosen) || 'nothing'), make('kbd', '', 'Enter'));
  }
  facts.replaceChildren(now, changed, idea, make('p', '', row.why), make('p', 'quiet', row.name + ' · ' + row.split));
};

// --- classes -----------------------------------------------------------------------------------------------------

const keyOf = (index) => (index < 9 ? String(index + 1) : index === 9 ? '0' : (LETTERS[index - 10] || '').toUpperCase());
// With more classes than keys, the keys go to the likeliest of what is looked at.
const keyed = () => {
  if (view.classes.length <= 10 + LETTERS.length) return view.classes;
  const votes = new Map();
  const vote = (name, worth) => votes.set(name, (votes.get(name) || 0) + worth);
  const looked = many ? (selected.size ? targets() : onGrid()) : [shown()].filter(Boolean);
  for (const row of looked) {
    row.suggested.split('|').forEach((name) => vote(name, 2));
    if (many) row.label.split('|').forEach((name) => vote(name, 1));
    row.likely.forEach((name, place) => vote(name, 1 / (place + 1)));
  }
  return [...votes].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([name]) => name);
};
const matching = (text) => {
  const low = text.toLowerCase();
  const found = view.classes.filter((name) => name.toLowerCase().includes(low));
  const begins = (name) => name.toLowerCase().startsWith(low);
  return [...found.filter(begins), ...found.filter((name) => !begins(name))];
};
// What Enter takes: the class of that name, else the first that begins so, else a new one.
const meant = (text) => {
  const found = matching(text);
  const low = text.toLowerCase();
  return (
    found.find((name) => name === text) ?? found.find((name) => name.toLowerCase() === low) ??
    found.find((name) => name.toLowerCase().startsWith(low)) ?? text
  );
};
const drawClasses = () => {
  const text = field.value.trim();
  const keys = keyed();
  const names = text ? matching(text).slice(0, MATCHES) : keys;
  const fresh = text && !view.classes.includes(text) ? [text] : [];
  const all = JSON.stringify([names, text ? fresh : keys.length]);
  if (classes.dataset.all !== all) {
    classes.dataset.all = all;
    keepFocus(classes, () => classes.replaceChildren(
      ...names.map((name, index) => {
        const node = button(name, text ? '' : keyOf(index), 'class', () => take(name));
        node.dataset.name = name;
        return node;
      }),
      ...fresh.map((name) => button('New class: ' + name, '', 'fresh', () => take(name))),
    ), 'button');
  }
  const row = many ? null : shown();
  const marked = row ? drafted(row) : new Set();
  for (const node of classes.children) {
    const name = node.dataset.name;
    node.classList.toggle('now', marked.has(name));
    if (view.several && row) node.setAttribute('aria-pressed', String(marked.has(name)));
    node.classList.toggle('suggested', Boolean(row && name === row.suggested && name !== row.label));
  }
  const more = view.classes.length - keys.length;
  hint.textContent = text
    ? 'Enter: ' + meant(text) + (fresh.length && meant(text) !== text ? ' · Shift+Enter: new class ' + text : '')
    : more > 0 ? more.toLocaleString('en') + ' more classes: type a part of the name (N)' : '';
};
const take = (name) => {
  field.value = '';
  field.blur();
  relabel(name);
  if (view) drawClasses();
};

// --- several labels a picture: keys toggle, Enter confirms --------------------------------------------------------

const drafted = (row) => draft || new Set(row.label.split('|'));
const toggled = (labels, name) => {
  const next = new Set(labels);
  if (next.has(name)) next.delete(name);
  else if (name === view.none) return new Set([name]);
  else next.add(name).delete(view.none);
  return next;
};
const toggle = (name) => {
  if (many || selected.size) {
    const without = !targets().every((row) => row.label.split('|').includes(name));
    return decide('relabel', (row) => {
      const has = row.label.split('|').includes(name);
      return has === without ? null : [...toggled(row.label.split('|'), name)].sort().join('|') || null;
    });
  }
  const row = shown();
  if (!row) return;
  draft = toggled(drafted(row), name);
  draw();
};
const confirm = () => {
  const row = shown();
  if (!row || many || selected.size) return;
  const label = [...drafted(row)].sort().join('|');
  if (!label) return tell('A picture needs one label at least; D takes it out.', true), draw();
  if (label === row.label) decide('keep');
  else decide('relabel', () => label);
};

// --- the whole ---------------------------------------------------------------------------------------------------

const frame = (row) => {
  const node = make('button');
  node.setAttribute('aria-label', said(row.label) + ', ' + row.name);
  node.title = said(row.label) + (row.suggested !== row.label ? ' → ' + said(row.suggested) + '?' : '');
  node.dataset.id = row.id;
  node.append(row.thumbnail ? picture(row.thumbnail, said(row.label)) : make('span', 'quiet', said(row.label)));
  node.addEventListener('click', (event) => {
    if (event.shiftKey) select(row.id, true);
    else selected.clear();
    if (!event.shiftKey) anchor = row.id;
    go(row.id);
  });
  return node;
};
const drawStrip = () => {
  const index = indexOf(current);
  const part = rows.slice(Math.max(0, index - 6), index + 18);
  const all = JSON.stringify(part.map((row) => row.id));
  if (strip.dataset.all !== all) {
    strip.dataset.all = all;
    const old = new Map([...strip.children].map((node) => [node.dataset.id, node]));
    const nodes = part.map((row) => old.get(row.id) || frame(row));
    keepFocus(strip, () => strip.replaceChildren(...nodes), '[aria-current="true"]');
  }
  let now = null;
  for (const node of strip.children) {
    if (node.dataset.id === current) now = node;
    node.setAttribute('aria-current', String(node.dataset.id === current));
    node.classList.toggle('chosen', selected.has(node.dataset.id));
  }
  if (now) strip.scrollLeft = now.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + now.clientWidth / 2;
};
// The next pictures are fetched and decoded before they are wanted; the very same element is then shown.
const ready = new Map();
const largeOf = (row) => {
  const alt = 'Picture labelled ' + said(row.label);
  const image = ready.get(row.large) || picture(row.large, alt, 'large');
  image.alt = alt;
  ready.set(row.large, image);
  return image;
};
const preload = () => {
  for (const row of rows.slice(indexOf(current) + 1, indexOf(current) + 7)) {
    if (row.large && !ready.has(row.large)) largeOf(row).decode().catch(() => ready.delete(row.large));
  }
  for (const path of [...ready.keys()].slice(0, -16)) ready.delete(path);
};
const minutes = (left) => {
  const need = Math.ceil(left / view.pace);
  return need < 120 ? need + ' min' : Math.round(need / 60) + ' h';
};
const drawProgress = () => {
  const size = (action) => (action.kind === 'undo' ? -(action.back || [0]).length : (action.items || [0]).length);
  const net = waiting.reduce((sum, action) => sum + size(action), 0);
  const [done, left] = [Math.max(0, view.done + net), Math.max(0, view.left - net)];
  counter.textContent = view.run ? done + ' done, ' + left + ' left' + (view.filter ? ', ' + view.filter : '') : '';
  pace.textContent = view.pace ? view.pace.toFixed(view.pace < 10 ? 1 : 0) + ' a minute; all of it: ' + minutes(left) : '';
  filled.style.width = (done + left ? (100 * done) / (done + left) : 0) + '%';
  outlook.textContent = view.outlook || '';
  outlook.classList.toggle('stop', view.stop);
  root.dataset.done = done;
};
const draw = () => {
  drawProgress();
  display(bar, view.run);
  const many_ = selected.size ? pictures(selected.size) + ' selected: K, D, S or a class is for all of them; Esc for none.' : '';
  message.textContent = !many && many_ ? many_ : local ? local.text : '';
  message.classList.toggle('warning', Boolean(local && local.warning && message.textContent === local.text));
  root.dataset.unsaved = waiting.length;
  root.classList.toggle('many', many);
  modeButton.firstChild.textContent = many ? 'One at a time' : 'Many at once';
  const row = shown();
  root.dataset.id = row ? row.id : '';
  root.dataset.selected = selected.size;
  display(desk, row);
  display(strip, row && !many);
  display(stage, !many);
  display(tiles, many);
  display(empty, !row);
  display(confirmButton, view.several && !many);
  empty.textContent = row ? '' : view.empty || 'Nothing is left in this queue.';
  if (!row) return;
  if (many) drawGrid();
  else {
    drawPicture(row);
    drawFacts(row);
    drawStrip();
    preload();
  }
  drawClasses();
};
