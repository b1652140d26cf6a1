// @ts-check
/**
 * A QR code of a short text (ISO/IEC 18004): byte mode, error correction M, versions 1 to 10.
 * Pure: text in, a square of dark and light out.
 */

// Per version, level M: code words of error correction per block, then [blocks, data words] groups.
const VERSIONS = [
  [10, [1, 16]], [16, [1, 28]], [26, [1, 44]], [18, [2, 32]], [24, [2, 43]],
  [16, [4, 27]], [18, [4, 31]], [22, [2, 38], [2, 39]], [22, [3, 36], [2, 37]], [26, [4, 43], [1, 44]],
];
const ALIGNED = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power += 1) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

/**
 * Draw a text.
 * @param {string} text
 * @returns {boolean[][] | null} rows of modules, true is dark; null where it does not fit
 */
export function qrMatrix(text) {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= VERSIONS.length; version += 1) {
    const [, ...groups] = /** @type {[number, ...number[][]]} */ (VERSIONS[version - 1]);
    const capacity = groups.reduce((sum, [blocks = 0, words = 0]) => sum + blocks * words, 0);
    if (bytes.length + (version < 10 ? 2 : 3) <= capacity) return draw(version, words(bytes, version, capacity));
  }
  return null;
}

/** @param {Uint8Array} bytes @param {number} version @param {number} capacity @returns {number[]} data and correction, interleaved */
function words(bytes, version, capacity) {
  const bits = [0, 1, 0, 0];
  /** @param {number} value @param {number} length */
  const put = (value, length) => {
    for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >> bit) & 1);
  };
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  put(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8 !== 0) bits.push(0);
  const data = [];
  for (let at = 0; at < bits.length; at += 8) data.push(Number.parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let pad = 0; data.length < capacity; pad += 1) data.push(pad % 2 === 0 ? 0xec : 0x11);

  const [correction, ...groups] = /** @type {[number, ...number[][]]} */ (VERSIONS[version - 1]);
  /** @type {number[][]} */
  const blocks = [];
  let from = 0;
  for (const [count = 0, length = 0] of groups) {
    for (let block = 0; block < count; block += 1) {
      blocks.push(data.slice(from, from + length));
      from += length;
    }
  }
  return [...interleaved(blocks), ...interleaved(blocks.map((block) => corrected(block, correction)))];
}

/** @param {number[][]} blocks @returns {number[]} */
function interleaved(blocks) {
  const longest = Math.max(...blocks.map(({ length }) => length));
  const result = [];
  for (let at = 0; at < longest; at += 1) {
    for (const block of blocks) if (at < block.length) result.push(/** @type {number} */ (block[at]));
  }
  return result;
}

/** @param {number[]} data @param {number} degree @returns {number[]} the remainder of Reed–Solomon */
function corrected(data, degree) {
  let generator = [1];
  for (let root = 0; root < degree; root += 1) {
    const next = [...generator, 0];
    generator.forEach((coefficient, at) => {
      next[at + 1] = (next[at + 1] ?? 0) ^ times(coefficient, EXP[root] ?? 0);
    });
    generator = next;
  }
  const rest = [...data, ...new Array(degree).fill(0)];
  for (let at = 0; at < data.length; at += 1) {
    const factor = rest[at];
    if (factor === 0) continue;
    generator.forEach((coefficient, offset) => {
      rest[at + offset] ^= times(coefficient, factor);
    });
  }
  return rest.slice(data.length);
}

/** @param {number} one @param {number} other @returns {number} their product in GF(256) */
function times(one, other) {
  return one === 0 || other === 0 ? 0 : (EXP[(LOG[one] ?? 0) + (LOG[other] ?? 0)] ?? 0);
}

/** @param {number} version @param {number[]} content @returns {boolean[][]} */
function draw(version, content) {
  const size = 17 + 4 * version;
  /** @type {(boolean | null)[][]} null: free for content */
  const fixed = Array.from({ length: size }, () => new Array(size).fill(null));
  placePatterns(fixed, version);
  /** @type {{matrix: boolean[][], penalty: number} | null} */
  let best = null;
  for (let mask = 0; mask < 8; mask += 1) {
    const matrix = fill(fixed, content, mask);
    placeFormat(matrix, mask);
    const penalty = penaltyOf(matrix);
    if (best === null || penalty < best.penalty) best = { matrix, penalty };
  }
  return /** @type {{matrix: boolean[][]}} */ (best).matrix;
}

/** @param {(boolean | null)[][]} fixed @param {number} version */
function placePatterns(fixed, version) {
  const size = fixed.length;
  /** @param {number} y @param {number} x @param {boolean} isDark */
  const put = (y, x, isDark) => {
    const row = fixed[y];
    if (row !== undefined && x >= 0 && x < size) row[x] = isDark;
  };
  for (const [top, left] of /** @type {[number, number][]} */ ([[0, 0], [0, size - 7], [size - 7, 0]])) {
    for (let y = -1; y <= 7; y += 1) {
      for (let x = -1; x <= 7; x += 1) {
        const ring = Math.max(Math.abs(y - 3), Math.abs(x - 3));
        put(top + y, left + x, ring !== 2 && ring !== 4);
      }
    }
  }
  const centres = ALIGNED[version - 1] ?? [];
  for (const y of centres) {
    for (const x of centres) {
      if ((y === 6 && x === 6) || (y === 6 && x === size - 7) || (y === size - 7 && x === 6)) continue;
      for (let dy = -2; dy <= 2; dy += 1) {
        for (let dx = -2; dx <= 2; dx += 1) put(y + dy, x + dx, Math.max(Math.abs(dy), Math.abs(dx)) !== 1);
      }
    }
  }
  for (let at = 8; at < size - 8; at += 1) {
    put(6, at, at % 2 === 0);
    put(at, 6, at % 2 === 0);
  }
  for (let at = 0; at < 9; at += 1) {
    if (fixed[8]?.[at] === null) put(8, at, false);
    if (fixed[at]?.[8] === null) put(at, 8, false);
    if (at < 8) {
      put(8, size - 1 - at, false);
      put(size - 1 - at, 8, false);
    }
  }
  put(size - 8, 8, true);
  if (version >= 7) {
    const code = withRemainder(version, 12, 0x1f25);
    for (let bit = 0; bit < 18; bit += 1) {
      const isDark = ((code >> bit) & 1) === 1;
      put(Math.floor(bit / 3), size - 11 + (bit % 3), isDark);
      put(size - 11 + (bit % 3), Math.floor(bit / 3), isDark);
    }
  }
}

/** @param {(boolean | null)[][]} fixed @param {number[]} content @param {number} mask @returns {boolean[][]} */
function fill(fixed, content, mask) {
  const size = fixed.length;
  const matrix = fixed.map((row) => row.map((module) => module === true));
  let bit = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const isUpward = ((right + 1) & 2) === 0;
      const y = isUpward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (fixed[y]?.[x] !== null) continue;
        const isSet = (((content[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
        /** @type {boolean[]} */ (matrix[y])[x] = isSet !== isMasked(mask, y, x);
        bit += 1;
      }
    }
  }
  return matrix;
}

/** @param {number} mask @param {number} y @param {number} x @returns {boolean} */
function isMasked(mask, y, x) {
  switch (mask) {
    case 0: return (y + x) % 2 === 0;
    case 1: return y % 2 === 0;
    case 2: return x % 3 === 0;
    case 3: return (y + x) % 3 === 0;
    case 4: return (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0;
    case 5: return ((y * x) % 2) + ((y * x) % 3) === 0;
    case 6: return (((y * x) % 2) + ((y * x) % 3)) % 2 === 0;
    default: return (((y + x) % 2) + ((y * x) % 3)) % 2 === 0;
  }
}

/** @param {boolean[][]} matrix @param {number} mask */
function placeFormat(matrix, mask) {
  const size = matrix.length;
  const code = withRemainder(mask, 10, 0x537) ^ 0x5412; // level M is 00
  /** @param {number} y @param {number} x @param {number} bit */
  const put = (y, x, bit) => {
    /** @type {boolean[]} */ (matrix[y])[x] = ((code >> bit) & 1) === 1;
  };
  for (let bit = 0; bit < 15; bit += 1) {
    if (bit < 6) put(bit, 8, bit);
    else if (bit < 8) put(bit + 1, 8, bit);
    else if (bit === 8) put(8, 7, bit);
    else put(8, 14 - bit, bit);
    if (bit < 8) put(8, size - 1 - bit, bit);
    else put(size - 15 + bit, 8, bit);
  }
}

/** @param {number} value @param {number} degree @param {number} generator @returns {number} */
function withRemainder(value, degree, generator) {
  let rest = value << degree;
  for (let bit = 31 - Math.clz32(rest || 1); bit >= degree; bit = 31 - Math.clz32(rest || 1)) rest ^= generator << (bit - degree);
  return (value << degree) | rest;
}

/** @param {boolean[][]} matrix @returns {number} how hard it is to read, by the standard's rules */
function penaltyOf(matrix) {
  const size = matrix.length;
  const columns = matrix.map((_, x) => matrix.map((row) => row[x] === true));
  let penalty = 0;
  let dark = 0;
  for (const line of [...matrix, ...columns]) {
    const bits = line.map((isDark) => (isDark ? "1" : "0")).join("");
    for (const run of bits.match(/0{5,}|1{5,}/gu) ?? []) penalty += run.length - 2;
    for (const pattern of ["10111010000", "00001011101"]) {
      for (let at = bits.indexOf(pattern); at >= 0; at = bits.indexOf(pattern, at + 1)) penalty += 40;
    }
  }
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const module = matrix[y]?.[x];
      if (module) dark += 1;
      const isSquare = y + 1 < size && x + 1 < size && matrix[y]?.[x + 1] === module && matrix[y + 1]?.[x] === module && matrix[y + 1]?.[x + 1] === module;
      if (isSquare) penalty += 3;
    }
  }
  return penalty + Math.floor(Math.abs((dark * 20) / (size * size) - 10)) * 10;
}
