// The simulator's control API.

const JSON_TYPE = { 'content-type': 'application/json' };

/** Reads something. */
export function get(path, signal) {
  return call(path, { signal });
}

/** Does something. */
export function post(path, body) {
  return call(path, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
}

async function call(path, options) {
  const answer = await fetch(`/_sim/${path}`, options);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error?.message ?? `${path}: ${answer.status}`);
  return value;
}
