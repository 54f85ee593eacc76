import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XENSTORE_ABS_PATH_MAX,
  XENSTORE_REL_PATH_MAX
} from "./chunk-FM26WRJC.js";
import {
  XenError
} from "./chunk-4IU4G7QT.js";

// src/xenstore/path.ts
var SLASH = "/".charCodeAt(0);
var AT = "@".charCodeAt(0);
var FORBIDDEN_CHARACTER = /[^A-Za-z0-9\-/_@]/;
var ABSOLUTE_PATH = /^(?:\/|(?:\/[A-Za-z0-9\-_@]+)+)$/;
function quote(path) {
  const shown = path.length > 64 ? `${path.slice(0, 61)}...` : path;
  return JSON.stringify(shown);
}
function refuse(path, rule) {
  throw new XenError("EINVAL", `path ${quote(path)}`, rule);
}
function isSpecialPath(path) {
  return path.charCodeAt(0) === AT;
}
function isAbsolutePath(path) {
  return path.charCodeAt(0) === SLASH;
}
function domainHome(domid) {
  return `/local/domain/${domid}`;
}
function checkLength(path) {
  if (path.length === 0) refuse(path, "a path is not empty");
  if (isAbsolutePath(path)) {
    if (path.length > XENSTORE_ABS_PATH_MAX) {
      refuse(path, `an absolute path has at most ${XENSTORE_ABS_PATH_MAX} bytes`);
    }
  } else if (path.length > XENSTORE_REL_PATH_MAX) {
    refuse(path, `a relative path has at most ${XENSTORE_REL_PATH_MAX} bytes`);
  }
}
function checkGrammar(path) {
  if (ABSOLUTE_PATH.test(path)) return;
  const forbidden = FORBIDDEN_CHARACTER.exec(path);
  if (forbidden !== null) {
    refuse(path, `a path is made of A-Z a-z 0-9 - / _ @, not of ${JSON.stringify(forbidden[0])}`);
  }
  if (path.includes("//")) refuse(path, 'a path has no empty component "//"');
  if (path.endsWith("/") && path !== "/") refuse(path, 'a path does not end in "/"');
}
function absolutePath(path, home) {
  if (isSpecialPath(path)) refuse(path, 'a node has no name that begins with "@"');
  checkLength(path);
  if (isAbsolutePath(path)) {
    checkGrammar(path);
    return path;
  }
  if (home === void 0) refuse(path, "a relative path needs a home to stand under");
  const absolute = `${home}/${path}`;
  checkLength(absolute);
  checkGrammar(absolute);
  return absolute;
}
function absoluteOrSpecialPath(path, home) {
  if (!isSpecialPath(path)) return absolutePath(path, home);
  checkLength(path);
  checkGrammar(path);
  return path;
}
function childPath(parent, name) {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}
function lastSlash(path) {
  let at = path.length - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}
function parentPath(absolute) {
  const slash = lastSlash(absolute);
  return slash <= 0 ? "/" : absolute.slice(0, slash);
}
function pathName(absolute) {
  return absolute.slice(lastSlash(absolute) + 1);
}
function isAtOrBelow(path, ancestor) {
  if (ancestor === "/") return isAbsolutePath(path);
  return path.startsWith(ancestor) && (path.length === ancestor.length || path[ancestor.length] === "/");
}

export {
  isSpecialPath,
  isAbsolutePath,
  domainHome,
  absolutePath,
  absoluteOrSpecialPath,
  childPath,
  parentPath,
  pathName,
  isAtOrBelow
};
//# sourceMappingURL=chunk-FWPDKSSG.js.map
