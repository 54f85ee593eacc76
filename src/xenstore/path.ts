/**
 * Names of nodes, docs/misc/xenstore.txt: `/local/domain/3/name` absolute, `device/vbd` relative to
 * the caller's home, `@releaseDomain` for a happening that can be watched.
 */
import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from '../abi/io/xs_wire.ts';
import { XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';

const SLASH = '/'.charCodeAt(0);
const AT = '@'.charCodeAt(0);
const FORBIDDEN_CHARACTER = /[^A-Za-z0-9\-/_@]/;
/** Components of allowed characters, none of them empty, with a slash before, between and not behind. */
const ABSOLUTE_PATH = /^(?:\/|(?:\/[A-Za-z0-9\-_@]+)+)$/;

/** As much of a path as an error message can bear; a hostile one may be long and unprintable. */
function quote(path: string): string {
  const shown = path.length > 64 ? `${path.slice(0, 61)}...` : path;
  return JSON.stringify(shown);
}

function refuse(path: string, rule: string): never {
  throw new XenError('EINVAL', `path ${quote(path)}`, rule);
}

/** Whether the path names a happening, such as `@introduceDomain`, and no node. */
export function isSpecialPath(path: string): boolean {
  return path.charCodeAt(0) === AT;
}

export function isAbsolutePath(path: string): boolean {
  return path.charCodeAt(0) === SLASH;
}

/** Where relative paths of a domain stand. */
export function domainHome(domid: DomId): string {
  return `/local/domain/${domid}`;
}

function checkLength(path: string): void {
  if (path.length === 0) refuse(path, 'a path is not empty');
  if (isAbsolutePath(path)) {
    if (path.length > XENSTORE_ABS_PATH_MAX) {
      refuse(path, `an absolute path has at most ${XENSTORE_ABS_PATH_MAX} bytes`);
    }
  } else if (path.length > XENSTORE_REL_PATH_MAX) {
    refuse(path, `a relative path has at most ${XENSTORE_REL_PATH_MAX} bytes`);
  }
}

function checkGrammar(path: string): void {
  if (ABSOLUTE_PATH.test(path)) return;
  const forbidden = FORBIDDEN_CHARACTER.exec(path);
  if (forbidden !== null) {
    refuse(path, `a path is made of A-Z a-z 0-9 - / _ @, not of ${JSON.stringify(forbidden[0])}`);
  }
  if (path.includes('//')) refuse(path, 'a path has no empty component "//"');
  if (path.endsWith('/') && path !== '/') refuse(path, 'a path does not end in "/"');
}

/**
 * The absolute form of a node's path. Throws `XenError` EINVAL that names the broken rule.
 *
 * @param home where relative paths stand; without one they are refused. Its length counts towards
 *   the limit of the absolute path (XSA-323).
 */
export function absolutePath(path: string, home?: string): string {
  if (isSpecialPath(path)) refuse(path, 'a node has no name that begins with "@"');
  checkLength(path);
  if (isAbsolutePath(path)) {
    checkGrammar(path);
    return path;
  }
  if (home === undefined) refuse(path, 'a relative path needs a home to stand under');
  const absolute = `${home}/${path}`;
  checkLength(absolute);
  checkGrammar(absolute);
  return absolute;
}

/** As `absolutePath`, for the operations that accept happenings too: watches and permissions. */
export function absoluteOrSpecialPath(path: string, home?: string): string {
  if (!isSpecialPath(path)) return absolutePath(path, home);
  checkLength(path);
  checkGrammar(path);
  return path;
}

/** The components of an absolute path from the root down; none for `/`. */
export function splitPath(absolute: string): string[] {
  return absolute === '/' ? [] : absolute.slice(1).split('/');
}

/** The path of the child `name` of an absolute path. */
export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}

/** As `lastIndexOf('/')`, which takes several times as long for the short names that nodes have. */
function lastSlash(path: string): number {
  let at = path.length - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}

/** The path of the node above; the root is above itself. */
export function parentPath(absolute: string): string {
  const slash = lastSlash(absolute);
  return slash <= 0 ? '/' : absolute.slice(0, slash);
}

/** The last component; empty for the root. */
export function pathName(absolute: string): string {
  return absolute.slice(lastSlash(absolute) + 1);
}

/** Whether a path is `ancestor` or stands below it. Both absolute, or both relative to one home. */
export function isAtOrBelow(path: string, ancestor: string): boolean {
  if (ancestor === '/') return isAbsolutePath(path);
  return (
    path.startsWith(ancestor) && (path.length === ancestor.length || path[ancestor.length] === '/')
  );
}
