/** What the page does by itself: search, keys, and the choice of light or dark. All it tells is there without it. */
export const script = `
'use strict';
const byId = (id) => document.getElementById(id);
const items = [...document.querySelectorAll('[data-find]')];
const services = items.filter((item) => item.matches('.service'));
const sections = [...document.querySelectorAll('main section')];
const field = byId('search');
const found = byId('found');
function search() {
  const words = field.value.toLowerCase().split(/\\s+/).filter((word) => word !== '');
  for (const item of items) item.hidden = !words.every((word) => item.dataset.find.includes(word));
  for (const section of sections) {
    const own = items.filter((item) => section.contains(item));
    const none = section.querySelector('.none');
    if (none !== null) none.hidden = own.length === 0 || own.some((item) => !item.hidden);
  }
  const shown = services.filter((item) => !item.hidden);
  found.textContent = words.length === 0 ? '' : shown.length + ' of ' + services.length + ' Services';
  if (words.length > 0 && shown.length === 1) shown[0].open = true;
}
field.addEventListener('input', search);
byId('bar').hidden = false;
document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === 'Escape' && event.target === field) {
    field.value = '';
    search();
    field.blur();
  }
});
const theme = byId('theme');
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? 'dark' : 'light')) === 'dark';
const label = () => {
  theme.textContent = isDark() ? 'Light' : 'Dark';
  theme.setAttribute('aria-label', 'Switch to ' + (isDark() ? 'light' : 'dark') + ' colours');
};
theme.addEventListener('click', () => {
  document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
  label();
});
prefersDark.addEventListener('change', label);
theme.hidden = false;
label();
const expand = byId('expand');
expand.addEventListener('click', () => {
  const shown = services.filter((item) => !item.hidden);
  const isOpening = shown.some((item) => !item.open);
  for (const item of shown) item.open = isOpening;
  expand.textContent = isOpening ? 'Close all' : 'Open all';
});
expand.hidden = services.length === 0;
function follow() {
  const target = byId(decodeURIComponent(location.hash.slice(1))) ?? byId(location.hash.slice(1));
  if (target === null || !(target instanceof HTMLDetailsElement)) return;
  target.hidden = false;
  target.open = true;
  target.scrollIntoView();
  target.querySelector('summary').focus({ preventScroll: true });
}
addEventListener('hashchange', follow);
follow();
`;
