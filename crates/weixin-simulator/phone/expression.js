// Expressions between {{ and }} in WXML: names, members, literals, operators, ?:. There are no calls in WXML, and nothing
// here evaluates code.
// Source: https://developers.weixin.qq.com/miniprogram/dev/reference/wxml/data.html

const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_$][\w$]*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(===|!==|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()[\]]))/y;

// From loosest to tightest.
const BINARY = [
  { '||': (a, b) => a() || b() },
  { '&&': (a, b) => a() && b() },
  { '===': (a, b) => a() === b(), '!==': (a, b) => a() !== b(), '==': (a, b) => a() == b(), '!=': (a, b) => a() != b() },
  { '<': (a, b) => a() < b(), '>': (a, b) => a() > b(), '<=': (a, b) => a() <= b(), '>=': (a, b) => a() >= b() },
  { '+': (a, b) => a() + b(), '-': (a, b) => a() - b() },
  { '*': (a, b) => a() * b(), '/': (a, b) => a() / b(), '%': (a, b) => a() % b() },
];
const WORDS = { true: true, false: false, null: null, undefined };

/** Reads an expression; the result takes the data and gives the value. */
export function compile(text) {
  const tokens = tokenize(text);
  let at = 0;
  const peek = () => tokens[at]?.sign;
  const take = (sign) => {
    if (peek() !== sign) throw new SyntaxError(`{{${text}}}: ${sign} is missing`);
    at += 1;
  };

  function ternary() {
    const condition = binary(0);
    if (peek() !== '?') return condition;
    take('?');
    const yes = ternary();
    take(':');
    const no = ternary();
    return (data) => (condition(data) ? yes(data) : no(data));
  }

  function binary(level) {
    if (level === BINARY.length) return unary();
    let left = binary(level + 1);
    while (peek() !== undefined && BINARY[level][peek()]) {
      const apply = BINARY[level][peek()];
      take(peek());
      const [a, b] = [left, binary(level + 1)];
      left = (data) => apply(() => a(data), () => b(data));
    }
    return left;
  }

  function unary() {
    const sign = peek();
    if (sign !== '!' && sign !== '-' && sign !== '+') return member();
    take(sign);
    const of = unary();
    if (sign === '!') return (data) => !of(data);
    return sign === '-' ? (data) => -of(data) : (data) => +of(data);
  }

  // A member of nothing is nothing, as in WeChat.
  function member() {
    let of = primary();
    for (;;) {
      const [object, sign] = [of, peek()];
      if (sign === '.') {
        take('.');
        const { name } = tokens[at++] ?? {};
        if (name === undefined) throw new SyntaxError(`{{${text}}}: a name is missing after the point`);
        of = (data) => own(object(data), name);
      } else if (sign === '[') {
        take('[');
        const key = ternary();
        take(']');
        of = (data) => own(object(data), key(data));
      } else {
        return of;
      }
    }
  }

  function primary() {
    const token = tokens[at++];
    if (!token) throw new SyntaxError(`{{${text}}} ends too early`);
    if ('value' in token) return () => token.value;
    if (token.name !== undefined) {
      if (Object.hasOwn(WORDS, token.name)) return () => WORDS[token.name];
      return (data) => own(data, token.name);
    }
    if (token.sign === '(') {
      const inner = ternary();
      take(')');
      return inner;
    }
    if (token.sign === '[') {
      const items = [];
      while (peek() !== ']') {
        items.push(ternary());
        if (peek() === ',') take(',');
      }
      take(']');
      return (data) => items.map((item) => item(data));
    }
    throw new SyntaxError(`{{${text}}}: ${token.sign} is not expected`);
  }

  const whole = ternary();
  if (at < tokens.length) throw new SyntaxError(`{{${text}}}: the phone does not know what follows ${JSON.stringify(tokens[at - 1])}`);
  return whole;
}

function own(object, key) {
  if (object === undefined || object === null) return undefined;
  if (key === 'length' && (typeof object === 'string' || Array.isArray(object))) return object.length;
  if (typeof object === 'string') return object[key];
  return Object.hasOwn(Object(object), key) ? object[key] : undefined;
}

function tokenize(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) throw new SyntaxError(`{{${text}}}: the phone cannot read "${text.slice(from).trim()}"`);
    const [, number, name, single, double, sign] = found;
    if (number !== undefined) tokens.push({ value: Number(number) });
    else if (name !== undefined) tokens.push({ name });
    else if (sign !== undefined) tokens.push({ sign });
    else tokens.push({ value: (single ?? double).replace(/\\(.)/g, '$1') });
  }
  return tokens;
}

/** A text with {{…}} in it. Alone, an expression keeps its type; beside other text it becomes one. */
export function template(text) {
  const parts = text.split(/\{\{([\s\S]*?)\}\}/);
  if (parts.length === 1) return () => text;
  const pieces = parts.map((part, index) => (index % 2 ? compile(part) : () => part));
  if (parts.length === 3 && parts[0] === '' && parts[2] === '') return pieces[1];
  return (data) => pieces.map((piece) => shown(piece(data))).join('');
}

/** What nothing looks like: nothing. */
export function shown(value) {
  return value === undefined || value === null ? '' : String(value);
}
