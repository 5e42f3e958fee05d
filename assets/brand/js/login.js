// Light or dark before the first paint: as the address says, else as the system is set.
const theme = new URLSearchParams(location.search).get('__theme');
addEventListener('DOMContentLoaded', () => {
  document.body.classList.toggle('dark', theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
});
