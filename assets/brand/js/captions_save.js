// Saves one caption: one request a picture at a time, tried again by itself, and never over somebody else's words.
import {api} from './core.js';

const AGAIN = 3000;
/* This page among those that are open: what one page types in a row is one change, what two do are two. */
export const WRITER = Math.random().toString(36).slice(2, 12);

export function makeSaver({dataset, status, tokens, after, isShown, recount = () => {}}) {
  /* One request a picture at a time; what was typed meanwhile goes out after it. A draft stays until the server has it. */
  function save(it) {
    if (it.sending) return it.sent;                                    // whoever waits for what is open waits for what is on its way, and for what goes out after it
    return it.draft == null || it.theirs ? Promise.resolve() : (it.sent = send(it));
  }
  async function send(it) {
    const sent = it.draft,
      here = () => isShown(it);
    it.sending = true;
    it.failed = false;
    if (here()) status('saving');
    try {
      const r = await api(`/captions/${dataset}/pictures/${it.id}`, {text: sent, version: it.version, writer: WRITER}, 'PUT');
      recount(it, r);
      Object.assign(it, {version: r.version, tokens: r.tokens, off: r.off, text: sent, by: r.by});
      if (it.draft === sent) it.draft = null;
      if (here()) {
        if (it.draft == null) {
          status('saved');
          tokens(r.tokens);
        }
      }
    } catch (e) {
      const theirs = e.status === 409 && e.theirs;
      if (theirs && ['captioner', 'draft'].includes(theirs.by) && it.by !== 'person')
        it.version = theirs.version; // the captioner was a moment faster: a person's words win
      else if (theirs && theirs.text === sent) {
        recount(it, theirs);
        Object.assign(it, theirs, {draft: null});
      }
      else if (theirs) {
        it.theirs = theirs;
        if (here()) status('clash');
      } else {
        it.failed = true;
        if (here()) status('fail');
        setTimeout(() => it.failed && save(it), AGAIN);
      }
    }
    it.sending = false;
    after(it);
    if (it.draft != null && !it.failed && !it.theirs) await save(it);
    else if (here() && it.draft == null && !it.theirs) status(it.text ? 'saved' : '');
  }
  return save;
}
