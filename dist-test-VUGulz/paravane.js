#!/usr/bin/env -S node --max-semi-space-size=2
import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  DEFAULT_OPTIONS,
  DEFAULT_QUOTAS,
  HARD_QUOTAS,
  SOFT_QUOTAS
} from "./chunks/chunk-XBUZ4ILQ.js";
import {
  VCHAN_RING_MAX,
  parseVchanTarget
} from "./chunks/chunk-SVFUDFGH.js";
import {
  logTo
} from "./chunks/chunk-EW4O7BUS.js";
import {
  BLOCK_FEATURES,
  RATE_LIMIT_KEY,
  SECTOR_SIZE,
  STATISTICS_KEY,
  parseStatistics
} from "./chunks/chunk-LQUJFEZC.js";
import {
  parseXenbusState,
  xenbusStateName
} from "./chunks/chunk-CIIRNFUU.js";
import {
  connectXenstore,
  followXenstore
} from "./chunks/chunk-UXLTWUUS.js";
import "./chunks/chunk-LYWPVKHU.js";
import "./chunks/chunk-KZAJKWCF.js";
import "./chunks/chunk-A4XA7GZ3.js";
import {
  formatPermission,
  parsePermission
} from "./chunks/chunk-SG3WZJOQ.js";
import "./chunks/chunk-HVXLNJDG.js";
import {
  loadNative
} from "./chunks/chunk-MHMOFGF5.js";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising
} from "./chunks/chunk-IXIAWWMT.js";
import {
  absoluteOrSpecialPath,
  childPath,
  domainHome,
  isAbsolutePath,
  isAtOrBelow,
  parentPath
} from "./chunks/chunk-FWPDKSSG.js";
import "./chunks/chunk-FM26WRJC.js";
import "./chunks/chunk-WRZEEFDO.js";
import {
  DOM0,
  domId
} from "./chunks/chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunks/chunk-4IU4G7QT.js";
import {
  __commonJS,
  __require,
  __toESM
} from "./chunks/chunk-CEO3U46H.js";

// node_modules/commander/lib/error.js
var require_error = __commonJS({
  "node_modules/commander/lib/error.js"(exports) {
    var CommanderError2 = class extends Error {
      /**
       * Constructs the CommanderError class
       * @param {number} exitCode suggested exit code which could be used with process.exit
       * @param {string} code an id string representing the error
       * @param {string} message human-readable description of the error
       */
      constructor(exitCode, code, message) {
        super(message);
        Error.captureStackTrace(this, this.constructor);
        this.name = this.constructor.name;
        this.code = code;
        this.exitCode = exitCode;
        this.nestedError = void 0;
      }
    };
    var InvalidArgumentError2 = class extends CommanderError2 {
      /**
       * Constructs the InvalidArgumentError class
       * @param {string} [message] explanation of why argument is invalid
       */
      constructor(message) {
        super(1, "commander.invalidArgument", message);
        Error.captureStackTrace(this, this.constructor);
        this.name = this.constructor.name;
      }
    };
    exports.CommanderError = CommanderError2;
    exports.InvalidArgumentError = InvalidArgumentError2;
  }
});

// node_modules/commander/lib/argument.js
var require_argument = __commonJS({
  "node_modules/commander/lib/argument.js"(exports) {
    var { InvalidArgumentError: InvalidArgumentError2 } = require_error();
    var Argument2 = class {
      /**
       * Initialize a new command argument with the given name and description.
       * The default is that the argument is required, and you can explicitly
       * indicate this with <> around the name. Put [] around the name for an optional argument.
       *
       * @param {string} name
       * @param {string} [description]
       */
      constructor(name, description) {
        this.description = description || "";
        this.variadic = false;
        this.parseArg = void 0;
        this.defaultValue = void 0;
        this.defaultValueDescription = void 0;
        this.argChoices = void 0;
        switch (name[0]) {
          case "<":
            this.required = true;
            this._name = name.slice(1, -1);
            break;
          case "[":
            this.required = false;
            this._name = name.slice(1, -1);
            break;
          default:
            this.required = true;
            this._name = name;
            break;
        }
        if (this._name.endsWith("...")) {
          this.variadic = true;
          this._name = this._name.slice(0, -3);
        }
      }
      /**
       * Return argument name.
       *
       * @return {string}
       */
      name() {
        return this._name;
      }
      /**
       * @package
       */
      _collectValue(value, previous) {
        if (previous === this.defaultValue || !Array.isArray(previous)) {
          return [value];
        }
        previous.push(value);
        return previous;
      }
      /**
       * Set the default value, and optionally supply the description to be displayed in the help.
       *
       * @param {*} value
       * @param {string} [description]
       * @return {Argument}
       */
      default(value, description) {
        this.defaultValue = value;
        this.defaultValueDescription = description;
        return this;
      }
      /**
       * Set the custom handler for processing CLI command arguments into argument values.
       *
       * @param {Function} [fn]
       * @return {Argument}
       */
      argParser(fn) {
        this.parseArg = fn;
        return this;
      }
      /**
       * Only allow argument value to be one of choices.
       *
       * @param {string[]} values
       * @return {Argument}
       */
      choices(values) {
        this.argChoices = values.slice();
        this.parseArg = (arg, previous) => {
          if (!this.argChoices.includes(arg)) {
            throw new InvalidArgumentError2(
              `Allowed choices are ${this.argChoices.join(", ")}.`
            );
          }
          if (this.variadic) {
            return this._collectValue(arg, previous);
          }
          return arg;
        };
        return this;
      }
      /**
       * Make argument required.
       *
       * @returns {Argument}
       */
      argRequired() {
        this.required = true;
        return this;
      }
      /**
       * Make argument optional.
       *
       * @returns {Argument}
       */
      argOptional() {
        this.required = false;
        return this;
      }
    };
    function humanReadableArgName(arg) {
      const nameOutput = arg.name() + (arg.variadic === true ? "..." : "");
      return arg.required ? "<" + nameOutput + ">" : "[" + nameOutput + "]";
    }
    exports.Argument = Argument2;
    exports.humanReadableArgName = humanReadableArgName;
  }
});

// node_modules/commander/lib/help.js
var require_help = __commonJS({
  "node_modules/commander/lib/help.js"(exports) {
    var { humanReadableArgName } = require_argument();
    var Help2 = class {
      constructor() {
        this.helpWidth = void 0;
        this.minWidthToWrap = 40;
        this.sortSubcommands = false;
        this.sortOptions = false;
        this.showGlobalOptions = false;
      }
      /**
       * prepareContext is called by Commander after applying overrides from `Command.configureHelp()`
       * and just before calling `formatHelp()`.
       *
       * Commander just uses the helpWidth and the rest is provided for optional use by more complex subclasses.
       *
       * @param {{ error?: boolean, helpWidth?: number, outputHasColors?: boolean }} contextOptions
       */
      prepareContext(contextOptions) {
        this.helpWidth = this.helpWidth ?? contextOptions.helpWidth ?? 80;
      }
      /**
       * Get an array of the visible subcommands. Includes a placeholder for the implicit help command, if there is one.
       *
       * @param {Command} cmd
       * @returns {Command[]}
       */
      visibleCommands(cmd) {
        const visibleCommands = cmd.commands.filter((cmd2) => !cmd2._hidden);
        const helpCommand = cmd._getHelpCommand();
        if (helpCommand && !helpCommand._hidden) {
          visibleCommands.push(helpCommand);
        }
        if (this.sortSubcommands) {
          visibleCommands.sort((a, b) => {
            return a.name().localeCompare(b.name());
          });
        }
        return visibleCommands;
      }
      /**
       * Compare options for sort.
       *
       * @param {Option} a
       * @param {Option} b
       * @returns {number}
       */
      compareOptions(a, b) {
        const getSortKey = (option) => {
          return option.short ? option.short.replace(/^-/, "") : option.long.replace(/^--/, "");
        };
        return getSortKey(a).localeCompare(getSortKey(b));
      }
      /**
       * Get an array of the visible options. Includes a placeholder for the implicit help option, if there is one.
       *
       * @param {Command} cmd
       * @returns {Option[]}
       */
      visibleOptions(cmd) {
        const visibleOptions = cmd.options.filter((option) => !option.hidden);
        const helpOption = cmd._getHelpOption();
        if (helpOption && !helpOption.hidden) {
          const removeShort = helpOption.short && cmd._findOption(helpOption.short);
          const removeLong = helpOption.long && cmd._findOption(helpOption.long);
          if (!removeShort && !removeLong) {
            visibleOptions.push(helpOption);
          } else if (helpOption.long && !removeLong) {
            visibleOptions.push(
              cmd.createOption(helpOption.long, helpOption.description)
            );
          } else if (helpOption.short && !removeShort) {
            visibleOptions.push(
              cmd.createOption(helpOption.short, helpOption.description)
            );
          }
        }
        if (this.sortOptions) {
          visibleOptions.sort(this.compareOptions);
        }
        return visibleOptions;
      }
      /**
       * Get an array of the visible global options. (Not including help.)
       *
       * @param {Command} cmd
       * @returns {Option[]}
       */
      visibleGlobalOptions(cmd) {
        if (!this.showGlobalOptions) return [];
        const globalOptions = [];
        for (let ancestorCmd = cmd.parent; ancestorCmd; ancestorCmd = ancestorCmd.parent) {
          const visibleOptions = ancestorCmd.options.filter(
            (option) => !option.hidden
          );
          globalOptions.push(...visibleOptions);
        }
        if (this.sortOptions) {
          globalOptions.sort(this.compareOptions);
        }
        return globalOptions;
      }
      /**
       * Get an array of the arguments if any have a description.
       *
       * @param {Command} cmd
       * @returns {Argument[]}
       */
      visibleArguments(cmd) {
        if (cmd._argsDescription) {
          cmd.registeredArguments.forEach((argument) => {
            argument.description = argument.description || cmd._argsDescription[argument.name()] || "";
          });
        }
        if (cmd.registeredArguments.find((argument) => argument.description)) {
          return cmd.registeredArguments;
        }
        return [];
      }
      /**
       * Get the command term to show in the list of subcommands.
       *
       * @param {Command} cmd
       * @returns {string}
       */
      subcommandTerm(cmd) {
        const args = cmd.registeredArguments.map((arg) => humanReadableArgName(arg)).join(" ");
        return cmd._name + (cmd._aliases[0] ? "|" + cmd._aliases[0] : "") + (cmd.options.length ? " [options]" : "") + // simplistic check for non-help option
        (args ? " " + args : "");
      }
      /**
       * Get the option term to show in the list of options.
       *
       * @param {Option} option
       * @returns {string}
       */
      optionTerm(option) {
        return option.flags;
      }
      /**
       * Get the argument term to show in the list of arguments.
       *
       * @param {Argument} argument
       * @returns {string}
       */
      argumentTerm(argument) {
        return argument.name();
      }
      /**
       * Get the longest command term length.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {number}
       */
      longestSubcommandTermLength(cmd, helper) {
        return helper.visibleCommands(cmd).reduce((max, command) => {
          return Math.max(
            max,
            this.displayWidth(
              helper.styleSubcommandTerm(helper.subcommandTerm(command))
            )
          );
        }, 0);
      }
      /**
       * Get the longest option term length.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {number}
       */
      longestOptionTermLength(cmd, helper) {
        return helper.visibleOptions(cmd).reduce((max, option) => {
          return Math.max(
            max,
            this.displayWidth(helper.styleOptionTerm(helper.optionTerm(option)))
          );
        }, 0);
      }
      /**
       * Get the longest global option term length.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {number}
       */
      longestGlobalOptionTermLength(cmd, helper) {
        return helper.visibleGlobalOptions(cmd).reduce((max, option) => {
          return Math.max(
            max,
            this.displayWidth(helper.styleOptionTerm(helper.optionTerm(option)))
          );
        }, 0);
      }
      /**
       * Get the longest argument term length.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {number}
       */
      longestArgumentTermLength(cmd, helper) {
        return helper.visibleArguments(cmd).reduce((max, argument) => {
          return Math.max(
            max,
            this.displayWidth(
              helper.styleArgumentTerm(helper.argumentTerm(argument))
            )
          );
        }, 0);
      }
      /**
       * Get the command usage to be displayed at the top of the built-in help.
       *
       * @param {Command} cmd
       * @returns {string}
       */
      commandUsage(cmd) {
        let cmdName = cmd._name;
        if (cmd._aliases[0]) {
          cmdName = cmdName + "|" + cmd._aliases[0];
        }
        let ancestorCmdNames = "";
        for (let ancestorCmd = cmd.parent; ancestorCmd; ancestorCmd = ancestorCmd.parent) {
          ancestorCmdNames = ancestorCmd.name() + " " + ancestorCmdNames;
        }
        return ancestorCmdNames + cmdName + " " + cmd.usage();
      }
      /**
       * Get the description for the command.
       *
       * @param {Command} cmd
       * @returns {string}
       */
      commandDescription(cmd) {
        return cmd.description();
      }
      /**
       * Get the subcommand summary to show in the list of subcommands.
       * (Fallback to description for backwards compatibility.)
       *
       * @param {Command} cmd
       * @returns {string}
       */
      subcommandDescription(cmd) {
        return cmd.summary() || cmd.description();
      }
      /**
       * Get the option description to show in the list of options.
       *
       * @param {Option} option
       * @return {string}
       */
      optionDescription(option) {
        const extraInfo = [];
        if (option.argChoices) {
          extraInfo.push(
            // use stringify to match the display of the default value
            `choices: ${option.argChoices.map((choice) => JSON.stringify(choice)).join(", ")}`
          );
        }
        if (option.defaultValue !== void 0) {
          const showDefault = option.required || option.optional || option.isBoolean() && typeof option.defaultValue === "boolean";
          if (showDefault) {
            extraInfo.push(
              `default: ${option.defaultValueDescription || JSON.stringify(option.defaultValue)}`
            );
          }
        }
        if (option.presetArg !== void 0 && option.optional) {
          extraInfo.push(`preset: ${JSON.stringify(option.presetArg)}`);
        }
        if (option.envVar !== void 0) {
          extraInfo.push(`env: ${option.envVar}`);
        }
        if (extraInfo.length > 0) {
          const extraDescription = `(${extraInfo.join(", ")})`;
          if (option.description) {
            return `${option.description} ${extraDescription}`;
          }
          return extraDescription;
        }
        return option.description;
      }
      /**
       * Get the argument description to show in the list of arguments.
       *
       * @param {Argument} argument
       * @return {string}
       */
      argumentDescription(argument) {
        const extraInfo = [];
        if (argument.argChoices) {
          extraInfo.push(
            // use stringify to match the display of the default value
            `choices: ${argument.argChoices.map((choice) => JSON.stringify(choice)).join(", ")}`
          );
        }
        if (argument.defaultValue !== void 0) {
          extraInfo.push(
            `default: ${argument.defaultValueDescription || JSON.stringify(argument.defaultValue)}`
          );
        }
        if (extraInfo.length > 0) {
          const extraDescription = `(${extraInfo.join(", ")})`;
          if (argument.description) {
            return `${argument.description} ${extraDescription}`;
          }
          return extraDescription;
        }
        return argument.description;
      }
      /**
       * Format a list of items, given a heading and an array of formatted items.
       *
       * @param {string} heading
       * @param {string[]} items
       * @param {Help} helper
       * @returns string[]
       */
      formatItemList(heading, items, helper) {
        if (items.length === 0) return [];
        return [helper.styleTitle(heading), ...items, ""];
      }
      /**
       * Group items by their help group heading.
       *
       * @param {Command[] | Option[]} unsortedItems
       * @param {Command[] | Option[]} visibleItems
       * @param {Function} getGroup
       * @returns {Map<string, Command[] | Option[]>}
       */
      groupItems(unsortedItems, visibleItems, getGroup) {
        const result = /* @__PURE__ */ new Map();
        unsortedItems.forEach((item) => {
          const group = getGroup(item);
          if (!result.has(group)) result.set(group, []);
        });
        visibleItems.forEach((item) => {
          const group = getGroup(item);
          if (!result.has(group)) {
            result.set(group, []);
          }
          result.get(group).push(item);
        });
        return result;
      }
      /**
       * Generate the built-in help text.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {string}
       */
      formatHelp(cmd, helper) {
        const termWidth = helper.padWidth(cmd, helper);
        const helpWidth = helper.helpWidth ?? 80;
        function callFormatItem(term, description) {
          return helper.formatItem(term, termWidth, description, helper);
        }
        let output = [
          `${helper.styleTitle("Usage:")} ${helper.styleUsage(helper.commandUsage(cmd))}`,
          ""
        ];
        const commandDescription = helper.commandDescription(cmd);
        if (commandDescription.length > 0) {
          output = output.concat([
            helper.boxWrap(
              helper.styleCommandDescription(commandDescription),
              helpWidth
            ),
            ""
          ]);
        }
        const argumentList = helper.visibleArguments(cmd).map((argument) => {
          return callFormatItem(
            helper.styleArgumentTerm(helper.argumentTerm(argument)),
            helper.styleArgumentDescription(helper.argumentDescription(argument))
          );
        });
        output = output.concat(
          this.formatItemList("Arguments:", argumentList, helper)
        );
        const optionGroups = this.groupItems(
          cmd.options,
          helper.visibleOptions(cmd),
          (option) => option.helpGroupHeading ?? "Options:"
        );
        optionGroups.forEach((options, group) => {
          const optionList = options.map((option) => {
            return callFormatItem(
              helper.styleOptionTerm(helper.optionTerm(option)),
              helper.styleOptionDescription(helper.optionDescription(option))
            );
          });
          output = output.concat(this.formatItemList(group, optionList, helper));
        });
        if (helper.showGlobalOptions) {
          const globalOptionList = helper.visibleGlobalOptions(cmd).map((option) => {
            return callFormatItem(
              helper.styleOptionTerm(helper.optionTerm(option)),
              helper.styleOptionDescription(helper.optionDescription(option))
            );
          });
          output = output.concat(
            this.formatItemList("Global Options:", globalOptionList, helper)
          );
        }
        const commandGroups = this.groupItems(
          cmd.commands,
          helper.visibleCommands(cmd),
          (sub) => sub.helpGroup() || "Commands:"
        );
        commandGroups.forEach((commands, group) => {
          const commandList = commands.map((sub) => {
            return callFormatItem(
              helper.styleSubcommandTerm(helper.subcommandTerm(sub)),
              helper.styleSubcommandDescription(helper.subcommandDescription(sub))
            );
          });
          output = output.concat(this.formatItemList(group, commandList, helper));
        });
        return output.join("\n");
      }
      /**
       * Return display width of string, ignoring ANSI escape sequences. Used in padding and wrapping calculations.
       *
       * @param {string} str
       * @returns {number}
       */
      displayWidth(str) {
        return stripColor(str).length;
      }
      /**
       * Style the title for displaying in the help. Called with 'Usage:', 'Options:', etc.
       *
       * @param {string} str
       * @returns {string}
       */
      styleTitle(str) {
        return str;
      }
      styleUsage(str) {
        return str.split(" ").map((word) => {
          if (word === "[options]") return this.styleOptionText(word);
          if (word === "[command]") return this.styleSubcommandText(word);
          if (word[0] === "[" || word[0] === "<")
            return this.styleArgumentText(word);
          return this.styleCommandText(word);
        }).join(" ");
      }
      styleCommandDescription(str) {
        return this.styleDescriptionText(str);
      }
      styleOptionDescription(str) {
        return this.styleDescriptionText(str);
      }
      styleSubcommandDescription(str) {
        return this.styleDescriptionText(str);
      }
      styleArgumentDescription(str) {
        return this.styleDescriptionText(str);
      }
      styleDescriptionText(str) {
        return str;
      }
      styleOptionTerm(str) {
        return this.styleOptionText(str);
      }
      styleSubcommandTerm(str) {
        return str.split(" ").map((word) => {
          if (word === "[options]") return this.styleOptionText(word);
          if (word[0] === "[" || word[0] === "<")
            return this.styleArgumentText(word);
          return this.styleSubcommandText(word);
        }).join(" ");
      }
      styleArgumentTerm(str) {
        return this.styleArgumentText(str);
      }
      styleOptionText(str) {
        return str;
      }
      styleArgumentText(str) {
        return str;
      }
      styleSubcommandText(str) {
        return str;
      }
      styleCommandText(str) {
        return str;
      }
      /**
       * Calculate the pad width from the maximum term length.
       *
       * @param {Command} cmd
       * @param {Help} helper
       * @returns {number}
       */
      padWidth(cmd, helper) {
        return Math.max(
          helper.longestOptionTermLength(cmd, helper),
          helper.longestGlobalOptionTermLength(cmd, helper),
          helper.longestSubcommandTermLength(cmd, helper),
          helper.longestArgumentTermLength(cmd, helper)
        );
      }
      /**
       * Detect manually wrapped and indented strings by checking for line break followed by whitespace.
       *
       * @param {string} str
       * @returns {boolean}
       */
      preformatted(str) {
        return /\n[^\S\r\n]/.test(str);
      }
      /**
       * Format the "item", which consists of a term and description. Pad the term and wrap the description, indenting the following lines.
       *
       * So "TTT", 5, "DDD DDDD DD DDD" might be formatted for this.helpWidth=17 like so:
       *   TTT  DDD DDDD
       *        DD DDD
       *
       * @param {string} term
       * @param {number} termWidth
       * @param {string} description
       * @param {Help} helper
       * @returns {string}
       */
      formatItem(term, termWidth, description, helper) {
        const itemIndent = 2;
        const itemIndentStr = " ".repeat(itemIndent);
        if (!description) return itemIndentStr + term;
        const paddedTerm = term.padEnd(
          termWidth + term.length - helper.displayWidth(term)
        );
        const spacerWidth = 2;
        const helpWidth = this.helpWidth ?? 80;
        const remainingWidth = helpWidth - termWidth - spacerWidth - itemIndent;
        let formattedDescription;
        if (remainingWidth < this.minWidthToWrap || helper.preformatted(description)) {
          formattedDescription = description;
        } else {
          const wrappedDescription = helper.boxWrap(description, remainingWidth);
          formattedDescription = wrappedDescription.replace(
            /\n/g,
            "\n" + " ".repeat(termWidth + spacerWidth)
          );
        }
        return itemIndentStr + paddedTerm + " ".repeat(spacerWidth) + formattedDescription.replace(/\n/g, `
${itemIndentStr}`);
      }
      /**
       * Wrap a string at whitespace, preserving existing line breaks.
       * Wrapping is skipped if the width is less than `minWidthToWrap`.
       *
       * @param {string} str
       * @param {number} width
       * @returns {string}
       */
      boxWrap(str, width) {
        if (width < this.minWidthToWrap) return str;
        const rawLines = str.split(/\r\n|\n/);
        const chunkPattern = /[\s]*[^\s]+/g;
        const wrappedLines = [];
        rawLines.forEach((line2) => {
          const chunks = line2.match(chunkPattern);
          if (chunks === null) {
            wrappedLines.push("");
            return;
          }
          let sumChunks = [chunks.shift()];
          let sumWidth = this.displayWidth(sumChunks[0]);
          chunks.forEach((chunk) => {
            const visibleWidth = this.displayWidth(chunk);
            if (sumWidth + visibleWidth <= width) {
              sumChunks.push(chunk);
              sumWidth += visibleWidth;
              return;
            }
            wrappedLines.push(sumChunks.join(""));
            const nextChunk = chunk.trimStart();
            sumChunks = [nextChunk];
            sumWidth = this.displayWidth(nextChunk);
          });
          wrappedLines.push(sumChunks.join(""));
        });
        return wrappedLines.join("\n");
      }
    };
    function stripColor(str) {
      const sgrPattern = /\x1b\[\d*(;\d*)*m/g;
      return str.replace(sgrPattern, "");
    }
    exports.Help = Help2;
    exports.stripColor = stripColor;
  }
});

// node_modules/commander/lib/option.js
var require_option = __commonJS({
  "node_modules/commander/lib/option.js"(exports) {
    var { InvalidArgumentError: InvalidArgumentError2 } = require_error();
    var Option2 = class {
      /**
       * Initialize a new `Option` with the given `flags` and `description`.
       *
       * @param {string} flags
       * @param {string} [description]
       */
      constructor(flags, description) {
        this.flags = flags;
        this.description = description || "";
        this.required = flags.includes("<");
        this.optional = flags.includes("[");
        this.variadic = /\w\.\.\.[>\]]$/.test(flags);
        this.mandatory = false;
        const optionFlags = splitOptionFlags(flags);
        this.short = optionFlags.shortFlag;
        this.long = optionFlags.longFlag;
        this.negate = false;
        if (this.long) {
          this.negate = this.long.startsWith("--no-");
        }
        this.defaultValue = void 0;
        this.defaultValueDescription = void 0;
        this.presetArg = void 0;
        this.envVar = void 0;
        this.parseArg = void 0;
        this.hidden = false;
        this.argChoices = void 0;
        this.conflictsWith = [];
        this.implied = void 0;
        this.helpGroupHeading = void 0;
      }
      /**
       * Set the default value, and optionally supply the description to be displayed in the help.
       *
       * @param {*} value
       * @param {string} [description]
       * @return {Option}
       */
      default(value, description) {
        this.defaultValue = value;
        this.defaultValueDescription = description;
        return this;
      }
      /**
       * Preset to use when option used without option-argument, especially optional but also boolean and negated.
       * The custom processing (parseArg) is called.
       *
       * @example
       * new Option('--color').default('GREYSCALE').preset('RGB');
       * new Option('--donate [amount]').preset('20').argParser(parseFloat);
       *
       * @param {*} arg
       * @return {Option}
       */
      preset(arg) {
        this.presetArg = arg;
        return this;
      }
      /**
       * Add option name(s) that conflict with this option.
       * An error will be displayed if conflicting options are found during parsing.
       *
       * @example
       * new Option('--rgb').conflicts('cmyk');
       * new Option('--js').conflicts(['ts', 'jsx']);
       *
       * @param {(string | string[])} names
       * @return {Option}
       */
      conflicts(names2) {
        this.conflictsWith = this.conflictsWith.concat(names2);
        return this;
      }
      /**
       * Specify implied option values for when this option is set and the implied options are not.
       *
       * The custom processing (parseArg) is not called on the implied values.
       *
       * @example
       * program
       *   .addOption(new Option('--log', 'write logging information to file'))
       *   .addOption(new Option('--trace', 'log extra details').implies({ log: 'trace.txt' }));
       *
       * @param {object} impliedOptionValues
       * @return {Option}
       */
      implies(impliedOptionValues) {
        let newImplied = impliedOptionValues;
        if (typeof impliedOptionValues === "string") {
          newImplied = { [impliedOptionValues]: true };
        }
        this.implied = Object.assign(this.implied || {}, newImplied);
        return this;
      }
      /**
       * Set environment variable to check for option value.
       *
       * An environment variable is only used if when processed the current option value is
       * undefined, or the source of the current value is 'default' or 'config' or 'env'.
       *
       * @param {string} name
       * @return {Option}
       */
      env(name) {
        this.envVar = name;
        return this;
      }
      /**
       * Set the custom handler for processing CLI option arguments into option values.
       *
       * @param {Function} [fn]
       * @return {Option}
       */
      argParser(fn) {
        this.parseArg = fn;
        return this;
      }
      /**
       * Whether the option is mandatory and must have a value after parsing.
       *
       * @param {boolean} [mandatory=true]
       * @return {Option}
       */
      makeOptionMandatory(mandatory = true) {
        this.mandatory = !!mandatory;
        return this;
      }
      /**
       * Hide option in help.
       *
       * @param {boolean} [hide=true]
       * @return {Option}
       */
      hideHelp(hide = true) {
        this.hidden = !!hide;
        return this;
      }
      /**
       * @package
       */
      _collectValue(value, previous) {
        if (previous === this.defaultValue || !Array.isArray(previous)) {
          return [value];
        }
        previous.push(value);
        return previous;
      }
      /**
       * Only allow option value to be one of choices.
       *
       * @param {string[]} values
       * @return {Option}
       */
      choices(values) {
        this.argChoices = values.slice();
        this.parseArg = (arg, previous) => {
          if (!this.argChoices.includes(arg)) {
            throw new InvalidArgumentError2(
              `Allowed choices are ${this.argChoices.join(", ")}.`
            );
          }
          if (this.variadic) {
            return this._collectValue(arg, previous);
          }
          return arg;
        };
        return this;
      }
      /**
       * Return option name.
       *
       * @return {string}
       */
      name() {
        if (this.long) {
          return this.long.replace(/^--/, "");
        }
        return this.short.replace(/^-/, "");
      }
      /**
       * Return option name, in a camelcase format that can be used
       * as an object attribute key.
       *
       * @return {string}
       */
      attributeName() {
        if (this.negate) {
          return camelcase(this.name().replace(/^no-/, ""));
        }
        return camelcase(this.name());
      }
      /**
       * Set the help group heading.
       *
       * @param {string} heading
       * @return {Option}
       */
      helpGroup(heading) {
        this.helpGroupHeading = heading;
        return this;
      }
      /**
       * Check if `arg` matches the short or long flag.
       *
       * @param {string} arg
       * @return {boolean}
       * @package
       */
      is(arg) {
        return this.short === arg || this.long === arg;
      }
      /**
       * Return whether a boolean option.
       *
       * Options are one of boolean, negated, required argument, or optional argument.
       *
       * @return {boolean}
       * @package
       */
      isBoolean() {
        return !this.required && !this.optional && !this.negate;
      }
    };
    var DualOptions = class {
      /**
       * @param {Option[]} options
       */
      constructor(options) {
        this.positiveOptions = /* @__PURE__ */ new Map();
        this.negativeOptions = /* @__PURE__ */ new Map();
        this.dualOptions = /* @__PURE__ */ new Set();
        options.forEach((option) => {
          if (option.negate) {
            this.negativeOptions.set(option.attributeName(), option);
          } else {
            this.positiveOptions.set(option.attributeName(), option);
          }
        });
        this.negativeOptions.forEach((value, key) => {
          if (this.positiveOptions.has(key)) {
            this.dualOptions.add(key);
          }
        });
      }
      /**
       * Did the value come from the option, and not from possible matching dual option?
       *
       * @param {*} value
       * @param {Option} option
       * @returns {boolean}
       */
      valueFromOption(value, option) {
        const optionKey2 = option.attributeName();
        if (!this.dualOptions.has(optionKey2)) return true;
        const preset = this.negativeOptions.get(optionKey2).presetArg;
        const negativeValue = preset !== void 0 ? preset : false;
        return option.negate === (negativeValue === value);
      }
    };
    function camelcase(str) {
      return str.split("-").reduce((str2, word) => {
        return str2 + word[0].toUpperCase() + word.slice(1);
      });
    }
    function splitOptionFlags(flags) {
      let shortFlag;
      let longFlag;
      const shortFlagExp = /^-[^-]$/;
      const longFlagExp = /^--[^-]/;
      const flagParts = flags.split(/[ |,]+/).concat("guard");
      if (shortFlagExp.test(flagParts[0])) shortFlag = flagParts.shift();
      if (longFlagExp.test(flagParts[0])) longFlag = flagParts.shift();
      if (!shortFlag && shortFlagExp.test(flagParts[0]))
        shortFlag = flagParts.shift();
      if (!shortFlag && longFlagExp.test(flagParts[0])) {
        shortFlag = longFlag;
        longFlag = flagParts.shift();
      }
      if (flagParts[0].startsWith("-")) {
        const unsupportedFlag = flagParts[0];
        const baseError = `option creation failed due to '${unsupportedFlag}' in option flags '${flags}'`;
        if (/^-[^-][^-]/.test(unsupportedFlag))
          throw new Error(
            `${baseError}
- a short flag is a single dash and a single character
  - either use a single dash and a single character (for a short flag)
  - or use a double dash for a long option (and can have two, like '--ws, --workspace')`
          );
        if (shortFlagExp.test(unsupportedFlag))
          throw new Error(`${baseError}
- too many short flags`);
        if (longFlagExp.test(unsupportedFlag))
          throw new Error(`${baseError}
- too many long flags`);
        throw new Error(`${baseError}
- unrecognised flag format`);
      }
      if (shortFlag === void 0 && longFlag === void 0)
        throw new Error(
          `option creation failed due to no flags found in '${flags}'.`
        );
      return { shortFlag, longFlag };
    }
    exports.Option = Option2;
    exports.DualOptions = DualOptions;
  }
});

// node_modules/commander/lib/suggestSimilar.js
var require_suggestSimilar = __commonJS({
  "node_modules/commander/lib/suggestSimilar.js"(exports) {
    var maxDistance = 3;
    function editDistance(a, b) {
      if (Math.abs(a.length - b.length) > maxDistance)
        return Math.max(a.length, b.length);
      const d = [];
      for (let i = 0; i <= a.length; i++) {
        d[i] = [i];
      }
      for (let j = 0; j <= b.length; j++) {
        d[0][j] = j;
      }
      for (let j = 1; j <= b.length; j++) {
        for (let i = 1; i <= a.length; i++) {
          let cost = 1;
          if (a[i - 1] === b[j - 1]) {
            cost = 0;
          } else {
            cost = 1;
          }
          d[i][j] = Math.min(
            d[i - 1][j] + 1,
            // deletion
            d[i][j - 1] + 1,
            // insertion
            d[i - 1][j - 1] + cost
            // substitution
          );
          if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
            d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
          }
        }
      }
      return d[a.length][b.length];
    }
    function suggestSimilar(word, candidates) {
      if (!candidates || candidates.length === 0) return "";
      candidates = Array.from(new Set(candidates));
      const searchingOptions = word.startsWith("--");
      if (searchingOptions) {
        word = word.slice(2);
        candidates = candidates.map((candidate) => candidate.slice(2));
      }
      let similar = [];
      let bestDistance = maxDistance;
      const minSimilarity = 0.4;
      candidates.forEach((candidate) => {
        if (candidate.length <= 1) return;
        const distance = editDistance(word, candidate);
        const length = Math.max(word.length, candidate.length);
        const similarity = (length - distance) / length;
        if (similarity > minSimilarity) {
          if (distance < bestDistance) {
            bestDistance = distance;
            similar = [candidate];
          } else if (distance === bestDistance) {
            similar.push(candidate);
          }
        }
      });
      similar.sort((a, b) => a.localeCompare(b));
      if (searchingOptions) {
        similar = similar.map((candidate) => `--${candidate}`);
      }
      if (similar.length > 1) {
        return `
(Did you mean one of ${similar.join(", ")}?)`;
      }
      if (similar.length === 1) {
        return `
(Did you mean ${similar[0]}?)`;
      }
      return "";
    }
    exports.suggestSimilar = suggestSimilar;
  }
});

// node_modules/commander/lib/command.js
var require_command = __commonJS({
  "node_modules/commander/lib/command.js"(exports) {
    var EventEmitter = __require("node:events").EventEmitter;
    var childProcess = __require("node:child_process");
    var path = __require("node:path");
    var fs = __require("node:fs");
    var process2 = __require("node:process");
    var { Argument: Argument2, humanReadableArgName } = require_argument();
    var { CommanderError: CommanderError2 } = require_error();
    var { Help: Help2, stripColor } = require_help();
    var { Option: Option2, DualOptions } = require_option();
    var { suggestSimilar } = require_suggestSimilar();
    var Command2 = class _Command extends EventEmitter {
      /**
       * Initialize a new `Command`.
       *
       * @param {string} [name]
       */
      constructor(name) {
        super();
        this.commands = [];
        this.options = [];
        this.parent = null;
        this._allowUnknownOption = false;
        this._allowExcessArguments = false;
        this.registeredArguments = [];
        this._args = this.registeredArguments;
        this.args = [];
        this.rawArgs = [];
        this.processedArgs = [];
        this._scriptPath = null;
        this._name = name || "";
        this._optionValues = {};
        this._optionValueSources = {};
        this._storeOptionsAsProperties = false;
        this._actionHandler = null;
        this._executableHandler = false;
        this._executableFile = null;
        this._executableDir = null;
        this._defaultCommandName = null;
        this._exitCallback = null;
        this._aliases = [];
        this._combineFlagAndOptionalValue = true;
        this._description = "";
        this._summary = "";
        this._argsDescription = void 0;
        this._enablePositionalOptions = false;
        this._passThroughOptions = false;
        this._lifeCycleHooks = {};
        this._showHelpAfterError = false;
        this._showSuggestionAfterError = true;
        this._savedState = null;
        this._outputConfiguration = {
          writeOut: (str) => process2.stdout.write(str),
          writeErr: (str) => process2.stderr.write(str),
          outputError: (str, write) => write(str),
          getOutHelpWidth: () => process2.stdout.isTTY ? process2.stdout.columns : void 0,
          getErrHelpWidth: () => process2.stderr.isTTY ? process2.stderr.columns : void 0,
          getOutHasColors: () => useColor() ?? (process2.stdout.isTTY && process2.stdout.hasColors?.()),
          getErrHasColors: () => useColor() ?? (process2.stderr.isTTY && process2.stderr.hasColors?.()),
          stripColor: (str) => stripColor(str)
        };
        this._hidden = false;
        this._helpOption = void 0;
        this._addImplicitHelpCommand = void 0;
        this._helpCommand = void 0;
        this._helpConfiguration = {};
        this._helpGroupHeading = void 0;
        this._defaultCommandGroup = void 0;
        this._defaultOptionGroup = void 0;
      }
      /**
       * Copy settings that are useful to have in common across root command and subcommands.
       *
       * (Used internally when adding a command using `.command()` so subcommands inherit parent settings.)
       *
       * @param {Command} sourceCommand
       * @return {Command} `this` command for chaining
       */
      copyInheritedSettings(sourceCommand) {
        this._outputConfiguration = sourceCommand._outputConfiguration;
        this._helpOption = sourceCommand._helpOption;
        this._helpCommand = sourceCommand._helpCommand;
        this._helpConfiguration = sourceCommand._helpConfiguration;
        this._exitCallback = sourceCommand._exitCallback;
        this._storeOptionsAsProperties = sourceCommand._storeOptionsAsProperties;
        this._combineFlagAndOptionalValue = sourceCommand._combineFlagAndOptionalValue;
        this._allowExcessArguments = sourceCommand._allowExcessArguments;
        this._enablePositionalOptions = sourceCommand._enablePositionalOptions;
        this._showHelpAfterError = sourceCommand._showHelpAfterError;
        this._showSuggestionAfterError = sourceCommand._showSuggestionAfterError;
        return this;
      }
      /**
       * @returns {Command[]}
       * @private
       */
      _getCommandAndAncestors() {
        const result = [];
        for (let command = this; command; command = command.parent) {
          result.push(command);
        }
        return result;
      }
      /**
       * Define a command.
       *
       * There are two styles of command: pay attention to where to put the description.
       *
       * @example
       * // Command implemented using action handler (description is supplied separately to `.command`)
       * program
       *   .command('clone <source> [destination]')
       *   .description('clone a repository into a newly created directory')
       *   .action((source, destination) => {
       *     console.log('clone command called');
       *   });
       *
       * // Command implemented using separate executable file (description is second parameter to `.command`)
       * program
       *   .command('start <service>', 'start named service')
       *   .command('stop [service]', 'stop named service, or all if no name supplied');
       *
       * @param {string} nameAndArgs - command name and arguments, args are `<required>` or `[optional]` and last may also be `variadic...`
       * @param {(object | string)} [actionOptsOrExecDesc] - configuration options (for action), or description (for executable)
       * @param {object} [execOpts] - configuration options (for executable)
       * @return {Command} returns new command for action handler, or `this` for executable command
       */
      command(nameAndArgs, actionOptsOrExecDesc, execOpts) {
        let desc = actionOptsOrExecDesc;
        let opts = execOpts;
        if (typeof desc === "object" && desc !== null) {
          opts = desc;
          desc = null;
        }
        opts = opts || {};
        const [, name, args] = nameAndArgs.match(/([^ ]+) *(.*)/);
        const cmd = this.createCommand(name);
        if (desc) {
          cmd.description(desc);
          cmd._executableHandler = true;
        }
        if (opts.isDefault) this._defaultCommandName = cmd._name;
        cmd._hidden = !!(opts.noHelp || opts.hidden);
        cmd._executableFile = opts.executableFile || null;
        if (args) cmd.arguments(args);
        this._registerCommand(cmd);
        cmd.parent = this;
        cmd.copyInheritedSettings(this);
        if (desc) return this;
        return cmd;
      }
      /**
       * Factory routine to create a new unattached command.
       *
       * See .command() for creating an attached subcommand, which uses this routine to
       * create the command. You can override createCommand to customise subcommands.
       *
       * @param {string} [name]
       * @return {Command} new command
       */
      createCommand(name) {
        return new _Command(name);
      }
      /**
       * You can customise the help with a subclass of Help by overriding createHelp,
       * or by overriding Help properties using configureHelp().
       *
       * @return {Help}
       */
      createHelp() {
        return Object.assign(new Help2(), this.configureHelp());
      }
      /**
       * You can customise the help by overriding Help properties using configureHelp(),
       * or with a subclass of Help by overriding createHelp().
       *
       * @param {object} [configuration] - configuration options
       * @return {(Command | object)} `this` command for chaining, or stored configuration
       */
      configureHelp(configuration) {
        if (configuration === void 0) return this._helpConfiguration;
        this._helpConfiguration = configuration;
        return this;
      }
      /**
       * The default output goes to stdout and stderr. You can customise this for special
       * applications. You can also customise the display of errors by overriding outputError.
       *
       * The configuration properties are all functions:
       *
       *     // change how output being written, defaults to stdout and stderr
       *     writeOut(str)
       *     writeErr(str)
       *     // change how output being written for errors, defaults to writeErr
       *     outputError(str, write) // used for displaying errors and not used for displaying help
       *     // specify width for wrapping help
       *     getOutHelpWidth()
       *     getErrHelpWidth()
       *     // color support, currently only used with Help
       *     getOutHasColors()
       *     getErrHasColors()
       *     stripColor() // used to remove ANSI escape codes if output does not have colors
       *
       * @param {object} [configuration] - configuration options
       * @return {(Command | object)} `this` command for chaining, or stored configuration
       */
      configureOutput(configuration) {
        if (configuration === void 0) return this._outputConfiguration;
        this._outputConfiguration = {
          ...this._outputConfiguration,
          ...configuration
        };
        return this;
      }
      /**
       * Display the help or a custom message after an error occurs.
       *
       * @param {(boolean|string)} [displayHelp]
       * @return {Command} `this` command for chaining
       */
      showHelpAfterError(displayHelp = true) {
        if (typeof displayHelp !== "string") displayHelp = !!displayHelp;
        this._showHelpAfterError = displayHelp;
        return this;
      }
      /**
       * Display suggestion of similar commands for unknown commands, or options for unknown options.
       *
       * @param {boolean} [displaySuggestion]
       * @return {Command} `this` command for chaining
       */
      showSuggestionAfterError(displaySuggestion = true) {
        this._showSuggestionAfterError = !!displaySuggestion;
        return this;
      }
      /**
       * Add a prepared subcommand.
       *
       * See .command() for creating an attached subcommand which inherits settings from its parent.
       *
       * @param {Command} cmd - new subcommand
       * @param {object} [opts] - configuration options
       * @return {Command} `this` command for chaining
       */
      addCommand(cmd, opts) {
        if (!cmd._name) {
          throw new Error(`Command passed to .addCommand() must have a name
- specify the name in Command constructor or using .name()`);
        }
        opts = opts || {};
        if (opts.isDefault) this._defaultCommandName = cmd._name;
        if (opts.noHelp || opts.hidden) cmd._hidden = true;
        this._registerCommand(cmd);
        cmd.parent = this;
        cmd._checkForBrokenPassThrough();
        return this;
      }
      /**
       * Factory routine to create a new unattached argument.
       *
       * See .argument() for creating an attached argument, which uses this routine to
       * create the argument. You can override createArgument to return a custom argument.
       *
       * @param {string} name
       * @param {string} [description]
       * @return {Argument} new argument
       */
      createArgument(name, description) {
        return new Argument2(name, description);
      }
      /**
       * Define argument syntax for command.
       *
       * The default is that the argument is required, and you can explicitly
       * indicate this with <> around the name. Put [] around the name for an optional argument.
       *
       * @example
       * program.argument('<input-file>');
       * program.argument('[output-file]');
       *
       * @param {string} name
       * @param {string} [description]
       * @param {(Function|*)} [parseArg] - custom argument processing function or default value
       * @param {*} [defaultValue]
       * @return {Command} `this` command for chaining
       */
      argument(name, description, parseArg, defaultValue) {
        const argument = this.createArgument(name, description);
        if (typeof parseArg === "function") {
          argument.default(defaultValue).argParser(parseArg);
        } else {
          argument.default(parseArg);
        }
        this.addArgument(argument);
        return this;
      }
      /**
       * Define argument syntax for command, adding multiple at once (without descriptions).
       *
       * See also .argument().
       *
       * @example
       * program.arguments('<cmd> [env]');
       *
       * @param {string} names
       * @return {Command} `this` command for chaining
       */
      arguments(names2) {
        names2.trim().split(/ +/).forEach((detail) => {
          this.argument(detail);
        });
        return this;
      }
      /**
       * Define argument syntax for command, adding a prepared argument.
       *
       * @param {Argument} argument
       * @return {Command} `this` command for chaining
       */
      addArgument(argument) {
        const previousArgument = this.registeredArguments.slice(-1)[0];
        if (previousArgument?.variadic) {
          throw new Error(
            `only the last argument can be variadic '${previousArgument.name()}'`
          );
        }
        if (argument.required && argument.defaultValue !== void 0 && argument.parseArg === void 0) {
          throw new Error(
            `a default value for a required argument is never used: '${argument.name()}'`
          );
        }
        this.registeredArguments.push(argument);
        return this;
      }
      /**
       * Customise or override default help command. By default a help command is automatically added if your command has subcommands.
       *
       * @example
       *    program.helpCommand('help [cmd]');
       *    program.helpCommand('help [cmd]', 'show help');
       *    program.helpCommand(false); // suppress default help command
       *    program.helpCommand(true); // add help command even if no subcommands
       *
       * @param {string|boolean} enableOrNameAndArgs - enable with custom name and/or arguments, or boolean to override whether added
       * @param {string} [description] - custom description
       * @return {Command} `this` command for chaining
       */
      helpCommand(enableOrNameAndArgs, description) {
        if (typeof enableOrNameAndArgs === "boolean") {
          this._addImplicitHelpCommand = enableOrNameAndArgs;
          if (enableOrNameAndArgs && this._defaultCommandGroup) {
            this._initCommandGroup(this._getHelpCommand());
          }
          return this;
        }
        const nameAndArgs = enableOrNameAndArgs ?? "help [command]";
        const [, helpName, helpArgs] = nameAndArgs.match(/([^ ]+) *(.*)/);
        const helpDescription = description ?? "display help for command";
        const helpCommand = this.createCommand(helpName);
        helpCommand.helpOption(false);
        if (helpArgs) helpCommand.arguments(helpArgs);
        if (helpDescription) helpCommand.description(helpDescription);
        this._addImplicitHelpCommand = true;
        this._helpCommand = helpCommand;
        if (enableOrNameAndArgs || description) this._initCommandGroup(helpCommand);
        return this;
      }
      /**
       * Add prepared custom help command.
       *
       * @param {(Command|string|boolean)} helpCommand - custom help command, or deprecated enableOrNameAndArgs as for `.helpCommand()`
       * @param {string} [deprecatedDescription] - deprecated custom description used with custom name only
       * @return {Command} `this` command for chaining
       */
      addHelpCommand(helpCommand, deprecatedDescription) {
        if (typeof helpCommand !== "object") {
          this.helpCommand(helpCommand, deprecatedDescription);
          return this;
        }
        this._addImplicitHelpCommand = true;
        this._helpCommand = helpCommand;
        this._initCommandGroup(helpCommand);
        return this;
      }
      /**
       * Lazy create help command.
       *
       * @return {(Command|null)}
       * @package
       */
      _getHelpCommand() {
        const hasImplicitHelpCommand = this._addImplicitHelpCommand ?? (this.commands.length && !this._actionHandler && !this._findCommand("help"));
        if (hasImplicitHelpCommand) {
          if (this._helpCommand === void 0) {
            this.helpCommand(void 0, void 0);
          }
          return this._helpCommand;
        }
        return null;
      }
      /**
       * Add hook for life cycle event.
       *
       * @param {string} event
       * @param {Function} listener
       * @return {Command} `this` command for chaining
       */
      hook(event, listener) {
        const allowedValues = ["preSubcommand", "preAction", "postAction"];
        if (!allowedValues.includes(event)) {
          throw new Error(`Unexpected value for event passed to hook : '${event}'.
Expecting one of '${allowedValues.join("', '")}'`);
        }
        if (this._lifeCycleHooks[event]) {
          this._lifeCycleHooks[event].push(listener);
        } else {
          this._lifeCycleHooks[event] = [listener];
        }
        return this;
      }
      /**
       * Register callback to use as replacement for calling process.exit.
       *
       * @param {Function} [fn] optional callback which will be passed a CommanderError, defaults to throwing
       * @return {Command} `this` command for chaining
       */
      exitOverride(fn) {
        if (fn) {
          this._exitCallback = fn;
        } else {
          this._exitCallback = (err) => {
            if (err.code !== "commander.executeSubCommandAsync") {
              throw err;
            } else {
            }
          };
        }
        return this;
      }
      /**
       * Call process.exit, and _exitCallback if defined.
       *
       * @param {number} exitCode exit code for using with process.exit
       * @param {string} code an id string representing the error
       * @param {string} message human-readable description of the error
       * @return never
       * @private
       */
      _exit(exitCode, code, message) {
        if (this._exitCallback) {
          this._exitCallback(new CommanderError2(exitCode, code, message));
        }
        process2.exit(exitCode);
      }
      /**
       * Register callback `fn` for the command.
       *
       * @example
       * program
       *   .command('serve')
       *   .description('start service')
       *   .action(function() {
       *      // do work here
       *   });
       *
       * @param {Function} fn
       * @return {Command} `this` command for chaining
       */
      action(fn) {
        const listener = (args) => {
          const expectedArgsCount = this.registeredArguments.length;
          const actionArgs = args.slice(0, expectedArgsCount);
          if (this._storeOptionsAsProperties) {
            actionArgs[expectedArgsCount] = this;
          } else {
            actionArgs[expectedArgsCount] = this.opts();
          }
          actionArgs.push(this);
          return fn.apply(this, actionArgs);
        };
        this._actionHandler = listener;
        return this;
      }
      /**
       * Factory routine to create a new unattached option.
       *
       * See .option() for creating an attached option, which uses this routine to
       * create the option. You can override createOption to return a custom option.
       *
       * @param {string} flags
       * @param {string} [description]
       * @return {Option} new option
       */
      createOption(flags, description) {
        return new Option2(flags, description);
      }
      /**
       * Wrap parseArgs to catch 'commander.invalidArgument'.
       *
       * @param {(Option | Argument)} target
       * @param {string} value
       * @param {*} previous
       * @param {string} invalidArgumentMessage
       * @private
       */
      _callParseArg(target, value, previous, invalidArgumentMessage) {
        try {
          return target.parseArg(value, previous);
        } catch (err) {
          if (err.code === "commander.invalidArgument") {
            const message = `${invalidArgumentMessage} ${err.message}`;
            this.error(message, { exitCode: err.exitCode, code: err.code });
          }
          throw err;
        }
      }
      /**
       * Check for option flag conflicts.
       * Register option if no conflicts found, or throw on conflict.
       *
       * @param {Option} option
       * @private
       */
      _registerOption(option) {
        const matchingOption = option.short && this._findOption(option.short) || option.long && this._findOption(option.long);
        if (matchingOption) {
          const matchingFlag = option.long && this._findOption(option.long) ? option.long : option.short;
          throw new Error(`Cannot add option '${option.flags}'${this._name && ` to command '${this._name}'`} due to conflicting flag '${matchingFlag}'
-  already used by option '${matchingOption.flags}'`);
        }
        this._initOptionGroup(option);
        this.options.push(option);
      }
      /**
       * Check for command name and alias conflicts with existing commands.
       * Register command if no conflicts found, or throw on conflict.
       *
       * @param {Command} command
       * @private
       */
      _registerCommand(command) {
        const knownBy = (cmd) => {
          return [cmd.name()].concat(cmd.aliases());
        };
        const alreadyUsed = knownBy(command).find(
          (name) => this._findCommand(name)
        );
        if (alreadyUsed) {
          const existingCmd = knownBy(this._findCommand(alreadyUsed)).join("|");
          const newCmd = knownBy(command).join("|");
          throw new Error(
            `cannot add command '${newCmd}' as already have command '${existingCmd}'`
          );
        }
        this._initCommandGroup(command);
        this.commands.push(command);
      }
      /**
       * Add an option.
       *
       * @param {Option} option
       * @return {Command} `this` command for chaining
       */
      addOption(option) {
        this._registerOption(option);
        const oname = option.name();
        const name = option.attributeName();
        if (option.negate) {
          const positiveLongFlag = option.long.replace(/^--no-/, "--");
          if (!this._findOption(positiveLongFlag)) {
            this.setOptionValueWithSource(
              name,
              option.defaultValue === void 0 ? true : option.defaultValue,
              "default"
            );
          }
        } else if (option.defaultValue !== void 0) {
          this.setOptionValueWithSource(name, option.defaultValue, "default");
        }
        const handleOptionValue = (val, invalidValueMessage, valueSource) => {
          if (val == null && option.presetArg !== void 0) {
            val = option.presetArg;
          }
          const oldValue = this.getOptionValue(name);
          if (val !== null && option.parseArg) {
            val = this._callParseArg(option, val, oldValue, invalidValueMessage);
          } else if (val !== null && option.variadic) {
            val = option._collectValue(val, oldValue);
          }
          if (val == null) {
            if (option.negate) {
              val = false;
            } else if (option.isBoolean() || option.optional) {
              val = true;
            } else {
              val = "";
            }
          }
          this.setOptionValueWithSource(name, val, valueSource);
        };
        this.on("option:" + oname, (val) => {
          const invalidValueMessage = `error: option '${option.flags}' argument '${val}' is invalid.`;
          handleOptionValue(val, invalidValueMessage, "cli");
        });
        if (option.envVar) {
          this.on("optionEnv:" + oname, (val) => {
            const invalidValueMessage = `error: option '${option.flags}' value '${val}' from env '${option.envVar}' is invalid.`;
            handleOptionValue(val, invalidValueMessage, "env");
          });
        }
        return this;
      }
      /**
       * Internal implementation shared by .option() and .requiredOption()
       *
       * @return {Command} `this` command for chaining
       * @private
       */
      _optionEx(config, flags, description, fn, defaultValue) {
        if (typeof flags === "object" && flags instanceof Option2) {
          throw new Error(
            "To add an Option object use addOption() instead of option() or requiredOption()"
          );
        }
        const option = this.createOption(flags, description);
        option.makeOptionMandatory(!!config.mandatory);
        if (typeof fn === "function") {
          option.default(defaultValue).argParser(fn);
        } else if (fn instanceof RegExp) {
          const regex = fn;
          fn = (val, def) => {
            const m = regex.exec(val);
            return m ? m[0] : def;
          };
          option.default(defaultValue).argParser(fn);
        } else {
          option.default(fn);
        }
        return this.addOption(option);
      }
      /**
       * Define option with `flags`, `description`, and optional argument parsing function or `defaultValue` or both.
       *
       * The `flags` string contains the short and/or long flags, separated by comma, a pipe or space. A required
       * option-argument is indicated by `<>` and an optional option-argument by `[]`.
       *
       * See the README for more details, and see also addOption() and requiredOption().
       *
       * @example
       * program
       *     .option('-p, --pepper', 'add pepper')
       *     .option('--pt, --pizza-type <TYPE>', 'type of pizza') // required option-argument
       *     .option('-c, --cheese [CHEESE]', 'add extra cheese', 'mozzarella') // optional option-argument with default
       *     .option('-t, --tip <VALUE>', 'add tip to purchase cost', parseFloat) // custom parse function
       *
       * @param {string} flags
       * @param {string} [description]
       * @param {(Function|*)} [parseArg] - custom option processing function or default value
       * @param {*} [defaultValue]
       * @return {Command} `this` command for chaining
       */
      option(flags, description, parseArg, defaultValue) {
        return this._optionEx({}, flags, description, parseArg, defaultValue);
      }
      /**
       * Add a required option which must have a value after parsing. This usually means
       * the option must be specified on the command line. (Otherwise the same as .option().)
       *
       * The `flags` string contains the short and/or long flags, separated by comma, a pipe or space.
       *
       * @param {string} flags
       * @param {string} [description]
       * @param {(Function|*)} [parseArg] - custom option processing function or default value
       * @param {*} [defaultValue]
       * @return {Command} `this` command for chaining
       */
      requiredOption(flags, description, parseArg, defaultValue) {
        return this._optionEx(
          { mandatory: true },
          flags,
          description,
          parseArg,
          defaultValue
        );
      }
      /**
       * Alter parsing of short flags with optional values.
       *
       * @example
       * // for `.option('-f,--flag [value]'):
       * program.combineFlagAndOptionalValue(true);  // `-f80` is treated like `--flag=80`, this is the default behaviour
       * program.combineFlagAndOptionalValue(false) // `-fb` is treated like `-f -b`
       *
       * @param {boolean} [combine] - if `true` or omitted, an optional value can be specified directly after the flag.
       * @return {Command} `this` command for chaining
       */
      combineFlagAndOptionalValue(combine = true) {
        this._combineFlagAndOptionalValue = !!combine;
        return this;
      }
      /**
       * Allow unknown options on the command line.
       *
       * @param {boolean} [allowUnknown] - if `true` or omitted, no error will be thrown for unknown options.
       * @return {Command} `this` command for chaining
       */
      allowUnknownOption(allowUnknown = true) {
        this._allowUnknownOption = !!allowUnknown;
        return this;
      }
      /**
       * Allow excess command-arguments on the command line. Pass false to make excess arguments an error.
       *
       * @param {boolean} [allowExcess] - if `true` or omitted, no error will be thrown for excess arguments.
       * @return {Command} `this` command for chaining
       */
      allowExcessArguments(allowExcess = true) {
        this._allowExcessArguments = !!allowExcess;
        return this;
      }
      /**
       * Enable positional options. Positional means global options are specified before subcommands which lets
       * subcommands reuse the same option names, and also enables subcommands to turn on passThroughOptions.
       * The default behaviour is non-positional and global options may appear anywhere on the command line.
       *
       * @param {boolean} [positional]
       * @return {Command} `this` command for chaining
       */
      enablePositionalOptions(positional = true) {
        this._enablePositionalOptions = !!positional;
        return this;
      }
      /**
       * Pass through options that come after command-arguments rather than treat them as command-options,
       * so actual command-options come before command-arguments. Turning this on for a subcommand requires
       * positional options to have been enabled on the program (parent commands).
       * The default behaviour is non-positional and options may appear before or after command-arguments.
       *
       * @param {boolean} [passThrough] for unknown options.
       * @return {Command} `this` command for chaining
       */
      passThroughOptions(passThrough = true) {
        this._passThroughOptions = !!passThrough;
        this._checkForBrokenPassThrough();
        return this;
      }
      /**
       * @private
       */
      _checkForBrokenPassThrough() {
        if (this.parent && this._passThroughOptions && !this.parent._enablePositionalOptions) {
          throw new Error(
            `passThroughOptions cannot be used for '${this._name}' without turning on enablePositionalOptions for parent command(s)`
          );
        }
      }
      /**
       * Whether to store option values as properties on command object,
       * or store separately (specify false). In both cases the option values can be accessed using .opts().
       *
       * @param {boolean} [storeAsProperties=true]
       * @return {Command} `this` command for chaining
       */
      storeOptionsAsProperties(storeAsProperties = true) {
        if (this.options.length) {
          throw new Error("call .storeOptionsAsProperties() before adding options");
        }
        if (Object.keys(this._optionValues).length) {
          throw new Error(
            "call .storeOptionsAsProperties() before setting option values"
          );
        }
        this._storeOptionsAsProperties = !!storeAsProperties;
        return this;
      }
      /**
       * Retrieve option value.
       *
       * @param {string} key
       * @return {object} value
       */
      getOptionValue(key) {
        if (this._storeOptionsAsProperties) {
          return this[key];
        }
        return this._optionValues[key];
      }
      /**
       * Store option value.
       *
       * @param {string} key
       * @param {object} value
       * @return {Command} `this` command for chaining
       */
      setOptionValue(key, value) {
        return this.setOptionValueWithSource(key, value, void 0);
      }
      /**
       * Store option value and where the value came from.
       *
       * @param {string} key
       * @param {object} value
       * @param {string} source - expected values are default/config/env/cli/implied
       * @return {Command} `this` command for chaining
       */
      setOptionValueWithSource(key, value, source) {
        if (this._storeOptionsAsProperties) {
          this[key] = value;
        } else {
          this._optionValues[key] = value;
        }
        this._optionValueSources[key] = source;
        return this;
      }
      /**
       * Get source of option value.
       * Expected values are default | config | env | cli | implied
       *
       * @param {string} key
       * @return {string}
       */
      getOptionValueSource(key) {
        return this._optionValueSources[key];
      }
      /**
       * Get source of option value. See also .optsWithGlobals().
       * Expected values are default | config | env | cli | implied
       *
       * @param {string} key
       * @return {string}
       */
      getOptionValueSourceWithGlobals(key) {
        let source;
        this._getCommandAndAncestors().forEach((cmd) => {
          if (cmd.getOptionValueSource(key) !== void 0) {
            source = cmd.getOptionValueSource(key);
          }
        });
        return source;
      }
      /**
       * Get user arguments from implied or explicit arguments.
       * Side-effects: set _scriptPath if args included script. Used for default program name, and subcommand searches.
       *
       * @private
       */
      _prepareUserArgs(argv, parseOptions) {
        if (argv !== void 0 && !Array.isArray(argv)) {
          throw new Error("first parameter to parse must be array or undefined");
        }
        parseOptions = parseOptions || {};
        if (argv === void 0 && parseOptions.from === void 0) {
          if (process2.versions?.electron) {
            parseOptions.from = "electron";
          }
          const execArgv = process2.execArgv ?? [];
          if (execArgv.includes("-e") || execArgv.includes("--eval") || execArgv.includes("-p") || execArgv.includes("--print")) {
            parseOptions.from = "eval";
          }
        }
        if (argv === void 0) {
          argv = process2.argv;
        }
        this.rawArgs = argv.slice();
        let userArgs;
        switch (parseOptions.from) {
          case void 0:
          case "node":
            this._scriptPath = argv[1];
            userArgs = argv.slice(2);
            break;
          case "electron":
            if (process2.defaultApp) {
              this._scriptPath = argv[1];
              userArgs = argv.slice(2);
            } else {
              userArgs = argv.slice(1);
            }
            break;
          case "user":
            userArgs = argv.slice(0);
            break;
          case "eval":
            userArgs = argv.slice(1);
            break;
          default:
            throw new Error(
              `unexpected parse option { from: '${parseOptions.from}' }`
            );
        }
        if (!this._name && this._scriptPath)
          this.nameFromFilename(this._scriptPath);
        this._name = this._name || "program";
        return userArgs;
      }
      /**
       * Parse `argv`, setting options and invoking commands when defined.
       *
       * Use parseAsync instead of parse if any of your action handlers are async.
       *
       * Call with no parameters to parse `process.argv`. Detects Electron and special node options like `node --eval`. Easy mode!
       *
       * Or call with an array of strings to parse, and optionally where the user arguments start by specifying where the arguments are `from`:
       * - `'node'`: default, `argv[0]` is the application and `argv[1]` is the script being run, with user arguments after that
       * - `'electron'`: `argv[0]` is the application and `argv[1]` varies depending on whether the electron application is packaged
       * - `'user'`: just user arguments
       *
       * @example
       * program.parse(); // parse process.argv and auto-detect electron and special node flags
       * program.parse(process.argv); // assume argv[0] is app and argv[1] is script
       * program.parse(my-args, { from: 'user' }); // just user supplied arguments, nothing special about argv[0]
       *
       * @param {string[]} [argv] - optional, defaults to process.argv
       * @param {object} [parseOptions] - optionally specify style of options with from: node/user/electron
       * @param {string} [parseOptions.from] - where the args are from: 'node', 'user', 'electron'
       * @return {Command} `this` command for chaining
       */
      parse(argv, parseOptions) {
        this._prepareForParse();
        const userArgs = this._prepareUserArgs(argv, parseOptions);
        this._parseCommand([], userArgs);
        return this;
      }
      /**
       * Parse `argv`, setting options and invoking commands when defined.
       *
       * Call with no parameters to parse `process.argv`. Detects Electron and special node options like `node --eval`. Easy mode!
       *
       * Or call with an array of strings to parse, and optionally where the user arguments start by specifying where the arguments are `from`:
       * - `'node'`: default, `argv[0]` is the application and `argv[1]` is the script being run, with user arguments after that
       * - `'electron'`: `argv[0]` is the application and `argv[1]` varies depending on whether the electron application is packaged
       * - `'user'`: just user arguments
       *
       * @example
       * await program.parseAsync(); // parse process.argv and auto-detect electron and special node flags
       * await program.parseAsync(process.argv); // assume argv[0] is app and argv[1] is script
       * await program.parseAsync(my-args, { from: 'user' }); // just user supplied arguments, nothing special about argv[0]
       *
       * @param {string[]} [argv]
       * @param {object} [parseOptions]
       * @param {string} parseOptions.from - where the args are from: 'node', 'user', 'electron'
       * @return {Promise}
       */
      async parseAsync(argv, parseOptions) {
        this._prepareForParse();
        const userArgs = this._prepareUserArgs(argv, parseOptions);
        await this._parseCommand([], userArgs);
        return this;
      }
      _prepareForParse() {
        if (this._savedState === null) {
          this.saveStateBeforeParse();
        } else {
          this.restoreStateBeforeParse();
        }
      }
      /**
       * Called the first time parse is called to save state and allow a restore before subsequent calls to parse.
       * Not usually called directly, but available for subclasses to save their custom state.
       *
       * This is called in a lazy way. Only commands used in parsing chain will have state saved.
       */
      saveStateBeforeParse() {
        this._savedState = {
          // name is stable if supplied by author, but may be unspecified for root command and deduced during parsing
          _name: this._name,
          // option values before parse have default values (including false for negated options)
          // shallow clones
          _optionValues: { ...this._optionValues },
          _optionValueSources: { ...this._optionValueSources }
        };
      }
      /**
       * Restore state before parse for calls after the first.
       * Not usually called directly, but available for subclasses to save their custom state.
       *
       * This is called in a lazy way. Only commands used in parsing chain will have state restored.
       */
      restoreStateBeforeParse() {
        if (this._storeOptionsAsProperties)
          throw new Error(`Can not call parse again when storeOptionsAsProperties is true.
- either make a new Command for each call to parse, or stop storing options as properties`);
        this._name = this._savedState._name;
        this._scriptPath = null;
        this.rawArgs = [];
        this._optionValues = { ...this._savedState._optionValues };
        this._optionValueSources = { ...this._savedState._optionValueSources };
        this.args = [];
        this.processedArgs = [];
      }
      /**
       * Throw if expected executable is missing. Add lots of help for author.
       *
       * @param {string} executableFile
       * @param {string} executableDir
       * @param {string} subcommandName
       */
      _checkForMissingExecutable(executableFile, executableDir, subcommandName) {
        if (fs.existsSync(executableFile)) return;
        const executableDirMessage = executableDir ? `searched for local subcommand relative to directory '${executableDir}'` : "no directory for search for local subcommand, use .executableDir() to supply a custom directory";
        const executableMissing = `'${executableFile}' does not exist
 - if '${subcommandName}' is not meant to be an executable command, remove description parameter from '.command()' and use '.description()' instead
 - if the default executable name is not suitable, use the executableFile option to supply a custom name or path
 - ${executableDirMessage}`;
        throw new Error(executableMissing);
      }
      /**
       * Execute a sub-command executable.
       *
       * @private
       */
      _executeSubCommand(subcommand, args) {
        args = args.slice();
        let launchWithNode = false;
        const sourceExt = [".js", ".ts", ".tsx", ".mjs", ".cjs"];
        function findFile(baseDir, baseName) {
          const localBin = path.resolve(baseDir, baseName);
          if (fs.existsSync(localBin)) return localBin;
          if (sourceExt.includes(path.extname(baseName))) return void 0;
          const foundExt = sourceExt.find(
            (ext) => fs.existsSync(`${localBin}${ext}`)
          );
          if (foundExt) return `${localBin}${foundExt}`;
          return void 0;
        }
        this._checkForMissingMandatoryOptions();
        this._checkForConflictingOptions();
        let executableFile = subcommand._executableFile || `${this._name}-${subcommand._name}`;
        let executableDir = this._executableDir || "";
        if (this._scriptPath) {
          let resolvedScriptPath;
          try {
            resolvedScriptPath = fs.realpathSync(this._scriptPath);
          } catch {
            resolvedScriptPath = this._scriptPath;
          }
          executableDir = path.resolve(
            path.dirname(resolvedScriptPath),
            executableDir
          );
        }
        if (executableDir) {
          let localFile = findFile(executableDir, executableFile);
          if (!localFile && !subcommand._executableFile && this._scriptPath) {
            const legacyName = path.basename(
              this._scriptPath,
              path.extname(this._scriptPath)
            );
            if (legacyName !== this._name) {
              localFile = findFile(
                executableDir,
                `${legacyName}-${subcommand._name}`
              );
            }
          }
          executableFile = localFile || executableFile;
        }
        launchWithNode = sourceExt.includes(path.extname(executableFile));
        let proc;
        if (process2.platform !== "win32") {
          if (launchWithNode) {
            args.unshift(executableFile);
            args = incrementNodeInspectorPort(process2.execArgv).concat(args);
            proc = childProcess.spawn(process2.argv[0], args, { stdio: "inherit" });
          } else {
            proc = childProcess.spawn(executableFile, args, { stdio: "inherit" });
          }
        } else {
          this._checkForMissingExecutable(
            executableFile,
            executableDir,
            subcommand._name
          );
          args.unshift(executableFile);
          args = incrementNodeInspectorPort(process2.execArgv).concat(args);
          proc = childProcess.spawn(process2.execPath, args, { stdio: "inherit" });
        }
        if (!proc.killed) {
          const signals = ["SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "SIGHUP"];
          signals.forEach((signal) => {
            process2.on(signal, () => {
              if (proc.killed === false && proc.exitCode === null) {
                proc.kill(signal);
              }
            });
          });
        }
        const exitCallback = this._exitCallback;
        proc.on("close", (code) => {
          code = code ?? 1;
          if (!exitCallback) {
            process2.exit(code);
          } else {
            exitCallback(
              new CommanderError2(
                code,
                "commander.executeSubCommandAsync",
                "(close)"
              )
            );
          }
        });
        proc.on("error", (err) => {
          if (err.code === "ENOENT") {
            this._checkForMissingExecutable(
              executableFile,
              executableDir,
              subcommand._name
            );
          } else if (err.code === "EACCES") {
            throw new Error(`'${executableFile}' not executable`);
          }
          if (!exitCallback) {
            process2.exit(1);
          } else {
            const wrappedError = new CommanderError2(
              1,
              "commander.executeSubCommandAsync",
              "(error)"
            );
            wrappedError.nestedError = err;
            exitCallback(wrappedError);
          }
        });
        this.runningCommand = proc;
      }
      /**
       * @private
       */
      _dispatchSubcommand(commandName, operands, unknown) {
        const subCommand = this._findCommand(commandName);
        if (!subCommand) this.help({ error: true });
        subCommand._prepareForParse();
        let promiseChain;
        promiseChain = this._chainOrCallSubCommandHook(
          promiseChain,
          subCommand,
          "preSubcommand"
        );
        promiseChain = this._chainOrCall(promiseChain, () => {
          if (subCommand._executableHandler) {
            this._executeSubCommand(subCommand, operands.concat(unknown));
          } else {
            return subCommand._parseCommand(operands, unknown);
          }
        });
        return promiseChain;
      }
      /**
       * Invoke help directly if possible, or dispatch if necessary.
       * e.g. help foo
       *
       * @private
       */
      _dispatchHelpCommand(subcommandName) {
        if (!subcommandName) {
          this.help();
        }
        const subCommand = this._findCommand(subcommandName);
        if (subCommand && !subCommand._executableHandler) {
          subCommand.help();
        }
        return this._dispatchSubcommand(
          subcommandName,
          [],
          [this._getHelpOption()?.long ?? this._getHelpOption()?.short ?? "--help"]
        );
      }
      /**
       * Check this.args against expected this.registeredArguments.
       *
       * @private
       */
      _checkNumberOfArguments() {
        this.registeredArguments.forEach((arg, i) => {
          if (arg.required && this.args[i] == null) {
            this.missingArgument(arg.name());
          }
        });
        if (this.registeredArguments.length > 0 && this.registeredArguments[this.registeredArguments.length - 1].variadic) {
          return;
        }
        if (this.args.length > this.registeredArguments.length) {
          this._excessArguments(this.args);
        }
      }
      /**
       * Process this.args using this.registeredArguments and save as this.processedArgs!
       *
       * @private
       */
      _processArguments() {
        const myParseArg = (argument, value, previous) => {
          let parsedValue = value;
          if (value !== null && argument.parseArg) {
            const invalidValueMessage = `error: command-argument value '${value}' is invalid for argument '${argument.name()}'.`;
            parsedValue = this._callParseArg(
              argument,
              value,
              previous,
              invalidValueMessage
            );
          }
          return parsedValue;
        };
        this._checkNumberOfArguments();
        const processedArgs = [];
        this.registeredArguments.forEach((declaredArg, index) => {
          let value = declaredArg.defaultValue;
          if (declaredArg.variadic) {
            if (index < this.args.length) {
              value = this.args.slice(index);
              if (declaredArg.parseArg) {
                value = value.reduce((processed, v) => {
                  return myParseArg(declaredArg, v, processed);
                }, declaredArg.defaultValue);
              }
            } else if (value === void 0) {
              value = [];
            }
          } else if (index < this.args.length) {
            value = this.args[index];
            if (declaredArg.parseArg) {
              value = myParseArg(declaredArg, value, declaredArg.defaultValue);
            }
          }
          processedArgs[index] = value;
        });
        this.processedArgs = processedArgs;
      }
      /**
       * Once we have a promise we chain, but call synchronously until then.
       *
       * @param {(Promise|undefined)} promise
       * @param {Function} fn
       * @return {(Promise|undefined)}
       * @private
       */
      _chainOrCall(promise, fn) {
        if (promise?.then && typeof promise.then === "function") {
          return promise.then(() => fn());
        }
        return fn();
      }
      /**
       *
       * @param {(Promise|undefined)} promise
       * @param {string} event
       * @return {(Promise|undefined)}
       * @private
       */
      _chainOrCallHooks(promise, event) {
        let result = promise;
        const hooks = [];
        this._getCommandAndAncestors().reverse().filter((cmd) => cmd._lifeCycleHooks[event] !== void 0).forEach((hookedCommand) => {
          hookedCommand._lifeCycleHooks[event].forEach((callback) => {
            hooks.push({ hookedCommand, callback });
          });
        });
        if (event === "postAction") {
          hooks.reverse();
        }
        hooks.forEach((hookDetail) => {
          result = this._chainOrCall(result, () => {
            return hookDetail.callback(hookDetail.hookedCommand, this);
          });
        });
        return result;
      }
      /**
       *
       * @param {(Promise|undefined)} promise
       * @param {Command} subCommand
       * @param {string} event
       * @return {(Promise|undefined)}
       * @private
       */
      _chainOrCallSubCommandHook(promise, subCommand, event) {
        let result = promise;
        if (this._lifeCycleHooks[event] !== void 0) {
          this._lifeCycleHooks[event].forEach((hook) => {
            result = this._chainOrCall(result, () => {
              return hook(this, subCommand);
            });
          });
        }
        return result;
      }
      /**
       * Process arguments in context of this command.
       * Returns action result, in case it is a promise.
       *
       * @private
       */
      _parseCommand(operands, unknown) {
        const parsed2 = this.parseOptions(unknown);
        this._parseOptionsEnv();
        this._parseOptionsImplied();
        operands = operands.concat(parsed2.operands);
        unknown = parsed2.unknown;
        this.args = operands.concat(unknown);
        if (operands && this._findCommand(operands[0])) {
          return this._dispatchSubcommand(operands[0], operands.slice(1), unknown);
        }
        if (this._getHelpCommand() && operands[0] === this._getHelpCommand().name()) {
          return this._dispatchHelpCommand(operands[1]);
        }
        if (this._defaultCommandName) {
          this._outputHelpIfRequested(unknown);
          return this._dispatchSubcommand(
            this._defaultCommandName,
            operands,
            unknown
          );
        }
        if (this.commands.length && this.args.length === 0 && !this._actionHandler && !this._defaultCommandName) {
          this.help({ error: true });
        }
        this._outputHelpIfRequested(parsed2.unknown);
        this._checkForMissingMandatoryOptions();
        this._checkForConflictingOptions();
        const checkForUnknownOptions = () => {
          if (parsed2.unknown.length > 0) {
            this.unknownOption(parsed2.unknown[0]);
          }
        };
        const commandEvent = `command:${this.name()}`;
        if (this._actionHandler) {
          checkForUnknownOptions();
          this._processArguments();
          let promiseChain;
          promiseChain = this._chainOrCallHooks(promiseChain, "preAction");
          promiseChain = this._chainOrCall(
            promiseChain,
            () => this._actionHandler(this.processedArgs)
          );
          if (this.parent) {
            promiseChain = this._chainOrCall(promiseChain, () => {
              this.parent.emit(commandEvent, operands, unknown);
            });
          }
          promiseChain = this._chainOrCallHooks(promiseChain, "postAction");
          return promiseChain;
        }
        if (this.parent?.listenerCount(commandEvent)) {
          checkForUnknownOptions();
          this._processArguments();
          this.parent.emit(commandEvent, operands, unknown);
        } else if (operands.length) {
          if (this._findCommand("*")) {
            return this._dispatchSubcommand("*", operands, unknown);
          }
          if (this.listenerCount("command:*")) {
            this.emit("command:*", operands, unknown);
          } else if (this.commands.length) {
            this.unknownCommand();
          } else {
            checkForUnknownOptions();
            this._processArguments();
          }
        } else if (this.commands.length) {
          checkForUnknownOptions();
          this.help({ error: true });
        } else {
          checkForUnknownOptions();
          this._processArguments();
        }
      }
      /**
       * Find matching command.
       *
       * @private
       * @return {Command | undefined}
       */
      _findCommand(name) {
        if (!name) return void 0;
        return this.commands.find(
          (cmd) => cmd._name === name || cmd._aliases.includes(name)
        );
      }
      /**
       * Return an option matching `arg` if any.
       *
       * @param {string} arg
       * @return {Option}
       * @package
       */
      _findOption(arg) {
        return this.options.find((option) => option.is(arg));
      }
      /**
       * Display an error message if a mandatory option does not have a value.
       * Called after checking for help flags in leaf subcommand.
       *
       * @private
       */
      _checkForMissingMandatoryOptions() {
        this._getCommandAndAncestors().forEach((cmd) => {
          cmd.options.forEach((anOption) => {
            if (anOption.mandatory && cmd.getOptionValue(anOption.attributeName()) === void 0) {
              cmd.missingMandatoryOptionValue(anOption);
            }
          });
        });
      }
      /**
       * Display an error message if conflicting options are used together in this.
       *
       * @private
       */
      _checkForConflictingLocalOptions() {
        const definedNonDefaultOptions = this.options.filter((option) => {
          const optionKey2 = option.attributeName();
          if (this.getOptionValue(optionKey2) === void 0) {
            return false;
          }
          return this.getOptionValueSource(optionKey2) !== "default";
        });
        const optionsWithConflicting = definedNonDefaultOptions.filter(
          (option) => option.conflictsWith.length > 0
        );
        optionsWithConflicting.forEach((option) => {
          const conflictingAndDefined = definedNonDefaultOptions.find(
            (defined) => option.conflictsWith.includes(defined.attributeName())
          );
          if (conflictingAndDefined) {
            this._conflictingOption(option, conflictingAndDefined);
          }
        });
      }
      /**
       * Display an error message if conflicting options are used together.
       * Called after checking for help flags in leaf subcommand.
       *
       * @private
       */
      _checkForConflictingOptions() {
        this._getCommandAndAncestors().forEach((cmd) => {
          cmd._checkForConflictingLocalOptions();
        });
      }
      /**
       * Parse options from `argv` removing known options,
       * and return argv split into operands and unknown arguments.
       *
       * Side effects: modifies command by storing options. Does not reset state if called again.
       *
       * Examples:
       *
       *     argv => operands, unknown
       *     --known kkk op => [op], []
       *     op --known kkk => [op], []
       *     sub --unknown uuu op => [sub], [--unknown uuu op]
       *     sub -- --unknown uuu op => [sub --unknown uuu op], []
       *
       * @param {string[]} args
       * @return {{operands: string[], unknown: string[]}}
       */
      parseOptions(args) {
        const operands = [];
        const unknown = [];
        let dest = operands;
        function maybeOption(arg) {
          return arg.length > 1 && arg[0] === "-";
        }
        const negativeNumberArg = (arg) => {
          if (!/^-(\d+|\d*\.\d+)(e[+-]?\d+)?$/.test(arg)) return false;
          return !this._getCommandAndAncestors().some(
            (cmd) => cmd.options.map((opt) => opt.short).some((short) => /^-\d$/.test(short))
          );
        };
        let activeVariadicOption = null;
        let activeGroup = null;
        let i = 0;
        while (i < args.length || activeGroup) {
          const arg = activeGroup ?? args[i++];
          activeGroup = null;
          if (arg === "--") {
            if (dest === unknown) dest.push(arg);
            dest.push(...args.slice(i));
            break;
          }
          if (activeVariadicOption && (!maybeOption(arg) || negativeNumberArg(arg))) {
            this.emit(`option:${activeVariadicOption.name()}`, arg);
            continue;
          }
          activeVariadicOption = null;
          if (maybeOption(arg)) {
            const option = this._findOption(arg);
            if (option) {
              if (option.required) {
                const value = args[i++];
                if (value === void 0) this.optionMissingArgument(option);
                this.emit(`option:${option.name()}`, value);
              } else if (option.optional) {
                let value = null;
                if (i < args.length && (!maybeOption(args[i]) || negativeNumberArg(args[i]))) {
                  value = args[i++];
                }
                this.emit(`option:${option.name()}`, value);
              } else {
                this.emit(`option:${option.name()}`);
              }
              activeVariadicOption = option.variadic ? option : null;
              continue;
            }
          }
          if (arg.length > 2 && arg[0] === "-" && arg[1] !== "-") {
            const option = this._findOption(`-${arg[1]}`);
            if (option) {
              if (option.required || option.optional && this._combineFlagAndOptionalValue) {
                this.emit(`option:${option.name()}`, arg.slice(2));
              } else {
                this.emit(`option:${option.name()}`);
                activeGroup = `-${arg.slice(2)}`;
              }
              continue;
            }
          }
          if (/^--[^=]+=/.test(arg)) {
            const index = arg.indexOf("=");
            const option = this._findOption(arg.slice(0, index));
            if (option && (option.required || option.optional)) {
              this.emit(`option:${option.name()}`, arg.slice(index + 1));
              continue;
            }
          }
          if (dest === operands && maybeOption(arg) && !(this.commands.length === 0 && negativeNumberArg(arg))) {
            dest = unknown;
          }
          if ((this._enablePositionalOptions || this._passThroughOptions) && operands.length === 0 && unknown.length === 0) {
            if (this._findCommand(arg)) {
              operands.push(arg);
              unknown.push(...args.slice(i));
              break;
            } else if (this._getHelpCommand() && arg === this._getHelpCommand().name()) {
              operands.push(arg, ...args.slice(i));
              break;
            } else if (this._defaultCommandName) {
              unknown.push(arg, ...args.slice(i));
              break;
            }
          }
          if (this._passThroughOptions) {
            dest.push(arg, ...args.slice(i));
            break;
          }
          dest.push(arg);
        }
        return { operands, unknown };
      }
      /**
       * Return an object containing local option values as key-value pairs.
       *
       * @return {object}
       */
      opts() {
        if (this._storeOptionsAsProperties) {
          const result = {};
          const len = this.options.length;
          for (let i = 0; i < len; i++) {
            const key = this.options[i].attributeName();
            result[key] = key === this._versionOptionName ? this._version : this[key];
          }
          return result;
        }
        return this._optionValues;
      }
      /**
       * Return an object containing merged local and global option values as key-value pairs.
       *
       * @return {object}
       */
      optsWithGlobals() {
        return this._getCommandAndAncestors().reduce(
          (combinedOptions, cmd) => Object.assign(combinedOptions, cmd.opts()),
          {}
        );
      }
      /**
       * Display error message and exit (or call exitOverride).
       *
       * @param {string} message
       * @param {object} [errorOptions]
       * @param {string} [errorOptions.code] - an id string representing the error
       * @param {number} [errorOptions.exitCode] - used with process.exit
       */
      error(message, errorOptions) {
        this._outputConfiguration.outputError(
          `${message}
`,
          this._outputConfiguration.writeErr
        );
        if (typeof this._showHelpAfterError === "string") {
          this._outputConfiguration.writeErr(`${this._showHelpAfterError}
`);
        } else if (this._showHelpAfterError) {
          this._outputConfiguration.writeErr("\n");
          this.outputHelp({ error: true });
        }
        const config = errorOptions || {};
        const exitCode = config.exitCode || 1;
        const code = config.code || "commander.error";
        this._exit(exitCode, code, message);
      }
      /**
       * Apply any option related environment variables, if option does
       * not have a value from cli or client code.
       *
       * @private
       */
      _parseOptionsEnv() {
        this.options.forEach((option) => {
          if (option.envVar && option.envVar in process2.env) {
            const optionKey2 = option.attributeName();
            if (this.getOptionValue(optionKey2) === void 0 || ["default", "config", "env"].includes(
              this.getOptionValueSource(optionKey2)
            )) {
              if (option.required || option.optional) {
                this.emit(`optionEnv:${option.name()}`, process2.env[option.envVar]);
              } else {
                this.emit(`optionEnv:${option.name()}`);
              }
            }
          }
        });
      }
      /**
       * Apply any implied option values, if option is undefined or default value.
       *
       * @private
       */
      _parseOptionsImplied() {
        const dualHelper = new DualOptions(this.options);
        const hasCustomOptionValue = (optionKey2) => {
          return this.getOptionValue(optionKey2) !== void 0 && !["default", "implied"].includes(this.getOptionValueSource(optionKey2));
        };
        this.options.filter(
          (option) => option.implied !== void 0 && hasCustomOptionValue(option.attributeName()) && dualHelper.valueFromOption(
            this.getOptionValue(option.attributeName()),
            option
          )
        ).forEach((option) => {
          Object.keys(option.implied).filter((impliedKey) => !hasCustomOptionValue(impliedKey)).forEach((impliedKey) => {
            this.setOptionValueWithSource(
              impliedKey,
              option.implied[impliedKey],
              "implied"
            );
          });
        });
      }
      /**
       * Argument `name` is missing.
       *
       * @param {string} name
       * @private
       */
      missingArgument(name) {
        const message = `error: missing required argument '${name}'`;
        this.error(message, { code: "commander.missingArgument" });
      }
      /**
       * `Option` is missing an argument.
       *
       * @param {Option} option
       * @private
       */
      optionMissingArgument(option) {
        const message = `error: option '${option.flags}' argument missing`;
        this.error(message, { code: "commander.optionMissingArgument" });
      }
      /**
       * `Option` does not have a value, and is a mandatory option.
       *
       * @param {Option} option
       * @private
       */
      missingMandatoryOptionValue(option) {
        const message = `error: required option '${option.flags}' not specified`;
        this.error(message, { code: "commander.missingMandatoryOptionValue" });
      }
      /**
       * `Option` conflicts with another option.
       *
       * @param {Option} option
       * @param {Option} conflictingOption
       * @private
       */
      _conflictingOption(option, conflictingOption) {
        const findBestOptionFromValue = (option2) => {
          const optionKey2 = option2.attributeName();
          const optionValue = this.getOptionValue(optionKey2);
          const negativeOption = this.options.find(
            (target) => target.negate && optionKey2 === target.attributeName()
          );
          const positiveOption = this.options.find(
            (target) => !target.negate && optionKey2 === target.attributeName()
          );
          if (negativeOption && (negativeOption.presetArg === void 0 && optionValue === false || negativeOption.presetArg !== void 0 && optionValue === negativeOption.presetArg)) {
            return negativeOption;
          }
          return positiveOption || option2;
        };
        const getErrorMessage = (option2) => {
          const bestOption = findBestOptionFromValue(option2);
          const optionKey2 = bestOption.attributeName();
          const source = this.getOptionValueSource(optionKey2);
          if (source === "env") {
            return `environment variable '${bestOption.envVar}'`;
          }
          return `option '${bestOption.flags}'`;
        };
        const message = `error: ${getErrorMessage(option)} cannot be used with ${getErrorMessage(conflictingOption)}`;
        this.error(message, { code: "commander.conflictingOption" });
      }
      /**
       * Unknown option `flag`.
       *
       * @param {string} flag
       * @private
       */
      unknownOption(flag) {
        if (this._allowUnknownOption) return;
        let suggestion = "";
        if (flag.startsWith("--") && this._showSuggestionAfterError) {
          let candidateFlags = [];
          let command = this;
          do {
            const moreFlags = command.createHelp().visibleOptions(command).filter((option) => option.long).map((option) => option.long);
            candidateFlags = candidateFlags.concat(moreFlags);
            command = command.parent;
          } while (command && !command._enablePositionalOptions);
          suggestion = suggestSimilar(flag, candidateFlags);
        }
        const message = `error: unknown option '${flag}'${suggestion}`;
        this.error(message, { code: "commander.unknownOption" });
      }
      /**
       * Excess arguments, more than expected.
       *
       * @param {string[]} receivedArgs
       * @private
       */
      _excessArguments(receivedArgs) {
        if (this._allowExcessArguments) return;
        const expected = this.registeredArguments.length;
        const s = expected === 1 ? "" : "s";
        const forSubcommand = this.parent ? ` for '${this.name()}'` : "";
        const message = `error: too many arguments${forSubcommand}. Expected ${expected} argument${s} but got ${receivedArgs.length}.`;
        this.error(message, { code: "commander.excessArguments" });
      }
      /**
       * Unknown command.
       *
       * @private
       */
      unknownCommand() {
        const unknownName = this.args[0];
        let suggestion = "";
        if (this._showSuggestionAfterError) {
          const candidateNames = [];
          this.createHelp().visibleCommands(this).forEach((command) => {
            candidateNames.push(command.name());
            if (command.alias()) candidateNames.push(command.alias());
          });
          suggestion = suggestSimilar(unknownName, candidateNames);
        }
        const message = `error: unknown command '${unknownName}'${suggestion}`;
        this.error(message, { code: "commander.unknownCommand" });
      }
      /**
       * Get or set the program version.
       *
       * This method auto-registers the "-V, --version" option which will print the version number.
       *
       * You can optionally supply the flags and description to override the defaults.
       *
       * @param {string} [str]
       * @param {string} [flags]
       * @param {string} [description]
       * @return {(this | string | undefined)} `this` command for chaining, or version string if no arguments
       */
      version(str, flags, description) {
        if (str === void 0) return this._version;
        this._version = str;
        flags = flags || "-V, --version";
        description = description || "output the version number";
        const versionOption = this.createOption(flags, description);
        this._versionOptionName = versionOption.attributeName();
        this._registerOption(versionOption);
        this.on("option:" + versionOption.name(), () => {
          this._outputConfiguration.writeOut(`${str}
`);
          this._exit(0, "commander.version", str);
        });
        return this;
      }
      /**
       * Set the description.
       *
       * @param {string} [str]
       * @param {object} [argsDescription]
       * @return {(string|Command)}
       */
      description(str, argsDescription) {
        if (str === void 0 && argsDescription === void 0)
          return this._description;
        this._description = str;
        if (argsDescription) {
          this._argsDescription = argsDescription;
        }
        return this;
      }
      /**
       * Set the summary. Used when listed as subcommand of parent.
       *
       * @param {string} [str]
       * @return {(string|Command)}
       */
      summary(str) {
        if (str === void 0) return this._summary;
        this._summary = str;
        return this;
      }
      /**
       * Set an alias for the command.
       *
       * You may call more than once to add multiple aliases. Only the first alias is shown in the auto-generated help.
       *
       * @param {string} [alias]
       * @return {(string|Command)}
       */
      alias(alias) {
        if (alias === void 0) return this._aliases[0];
        let command = this;
        if (this.commands.length !== 0 && this.commands[this.commands.length - 1]._executableHandler) {
          command = this.commands[this.commands.length - 1];
        }
        if (alias === command._name)
          throw new Error("Command alias can't be the same as its name");
        const matchingCommand = this.parent?._findCommand(alias);
        if (matchingCommand) {
          const existingCmd = [matchingCommand.name()].concat(matchingCommand.aliases()).join("|");
          throw new Error(
            `cannot add alias '${alias}' to command '${this.name()}' as already have command '${existingCmd}'`
          );
        }
        command._aliases.push(alias);
        return this;
      }
      /**
       * Set aliases for the command.
       *
       * Only the first alias is shown in the auto-generated help.
       *
       * @param {string[]} [aliases]
       * @return {(string[]|Command)}
       */
      aliases(aliases) {
        if (aliases === void 0) return this._aliases;
        aliases.forEach((alias) => this.alias(alias));
        return this;
      }
      /**
       * Set / get the command usage `str`.
       *
       * @param {string} [str]
       * @return {(string|Command)}
       */
      usage(str) {
        if (str === void 0) {
          if (this._usage) return this._usage;
          const args = this.registeredArguments.map((arg) => {
            return humanReadableArgName(arg);
          });
          return [].concat(
            this.options.length || this._helpOption !== null ? "[options]" : [],
            this.commands.length ? "[command]" : [],
            this.registeredArguments.length ? args : []
          ).join(" ");
        }
        this._usage = str;
        return this;
      }
      /**
       * Get or set the name of the command.
       *
       * @param {string} [str]
       * @return {(string|Command)}
       */
      name(str) {
        if (str === void 0) return this._name;
        this._name = str;
        return this;
      }
      /**
       * Set/get the help group heading for this subcommand in parent command's help.
       *
       * @param {string} [heading]
       * @return {Command | string}
       */
      helpGroup(heading) {
        if (heading === void 0) return this._helpGroupHeading ?? "";
        this._helpGroupHeading = heading;
        return this;
      }
      /**
       * Set/get the default help group heading for subcommands added to this command.
       * (This does not override a group set directly on the subcommand using .helpGroup().)
       *
       * @example
       * program.commandsGroup('Development Commands:);
       * program.command('watch')...
       * program.command('lint')...
       * ...
       *
       * @param {string} [heading]
       * @returns {Command | string}
       */
      commandsGroup(heading) {
        if (heading === void 0) return this._defaultCommandGroup ?? "";
        this._defaultCommandGroup = heading;
        return this;
      }
      /**
       * Set/get the default help group heading for options added to this command.
       * (This does not override a group set directly on the option using .helpGroup().)
       *
       * @example
       * program
       *   .optionsGroup('Development Options:')
       *   .option('-d, --debug', 'output extra debugging')
       *   .option('-p, --profile', 'output profiling information')
       *
       * @param {string} [heading]
       * @returns {Command | string}
       */
      optionsGroup(heading) {
        if (heading === void 0) return this._defaultOptionGroup ?? "";
        this._defaultOptionGroup = heading;
        return this;
      }
      /**
       * @param {Option} option
       * @private
       */
      _initOptionGroup(option) {
        if (this._defaultOptionGroup && !option.helpGroupHeading)
          option.helpGroup(this._defaultOptionGroup);
      }
      /**
       * @param {Command} cmd
       * @private
       */
      _initCommandGroup(cmd) {
        if (this._defaultCommandGroup && !cmd.helpGroup())
          cmd.helpGroup(this._defaultCommandGroup);
      }
      /**
       * Set the name of the command from script filename, such as process.argv[1],
       * or require.main.filename, or __filename.
       *
       * (Used internally and public although not documented in README.)
       *
       * @example
       * program.nameFromFilename(require.main.filename);
       *
       * @param {string} filename
       * @return {Command}
       */
      nameFromFilename(filename) {
        this._name = path.basename(filename, path.extname(filename));
        return this;
      }
      /**
       * Get or set the directory for searching for executable subcommands of this command.
       *
       * @example
       * program.executableDir(__dirname);
       * // or
       * program.executableDir('subcommands');
       *
       * @param {string} [path]
       * @return {(string|null|Command)}
       */
      executableDir(path2) {
        if (path2 === void 0) return this._executableDir;
        this._executableDir = path2;
        return this;
      }
      /**
       * Return program help documentation.
       *
       * @param {{ error: boolean }} [contextOptions] - pass {error:true} to wrap for stderr instead of stdout
       * @return {string}
       */
      helpInformation(contextOptions) {
        const helper = this.createHelp();
        const context = this._getOutputContext(contextOptions);
        helper.prepareContext({
          error: context.error,
          helpWidth: context.helpWidth,
          outputHasColors: context.hasColors
        });
        const text = helper.formatHelp(this, helper);
        if (context.hasColors) return text;
        return this._outputConfiguration.stripColor(text);
      }
      /**
       * @typedef HelpContext
       * @type {object}
       * @property {boolean} error
       * @property {number} helpWidth
       * @property {boolean} hasColors
       * @property {function} write - includes stripColor if needed
       *
       * @returns {HelpContext}
       * @private
       */
      _getOutputContext(contextOptions) {
        contextOptions = contextOptions || {};
        const error = !!contextOptions.error;
        let baseWrite;
        let hasColors;
        let helpWidth;
        if (error) {
          baseWrite = (str) => this._outputConfiguration.writeErr(str);
          hasColors = this._outputConfiguration.getErrHasColors();
          helpWidth = this._outputConfiguration.getErrHelpWidth();
        } else {
          baseWrite = (str) => this._outputConfiguration.writeOut(str);
          hasColors = this._outputConfiguration.getOutHasColors();
          helpWidth = this._outputConfiguration.getOutHelpWidth();
        }
        const write = (str) => {
          if (!hasColors) str = this._outputConfiguration.stripColor(str);
          return baseWrite(str);
        };
        return { error, write, hasColors, helpWidth };
      }
      /**
       * Output help information for this command.
       *
       * Outputs built-in help, and custom text added using `.addHelpText()`.
       *
       * @param {{ error: boolean } | Function} [contextOptions] - pass {error:true} to write to stderr instead of stdout
       */
      outputHelp(contextOptions) {
        let deprecatedCallback;
        if (typeof contextOptions === "function") {
          deprecatedCallback = contextOptions;
          contextOptions = void 0;
        }
        const outputContext = this._getOutputContext(contextOptions);
        const eventContext = {
          error: outputContext.error,
          write: outputContext.write,
          command: this
        };
        this._getCommandAndAncestors().reverse().forEach((command) => command.emit("beforeAllHelp", eventContext));
        this.emit("beforeHelp", eventContext);
        let helpInformation = this.helpInformation({ error: outputContext.error });
        if (deprecatedCallback) {
          helpInformation = deprecatedCallback(helpInformation);
          if (typeof helpInformation !== "string" && !Buffer.isBuffer(helpInformation)) {
            throw new Error("outputHelp callback must return a string or a Buffer");
          }
        }
        outputContext.write(helpInformation);
        if (this._getHelpOption()?.long) {
          this.emit(this._getHelpOption().long);
        }
        this.emit("afterHelp", eventContext);
        this._getCommandAndAncestors().forEach(
          (command) => command.emit("afterAllHelp", eventContext)
        );
      }
      /**
       * You can pass in flags and a description to customise the built-in help option.
       * Pass in false to disable the built-in help option.
       *
       * @example
       * program.helpOption('-?, --help' 'show help'); // customise
       * program.helpOption(false); // disable
       *
       * @param {(string | boolean)} flags
       * @param {string} [description]
       * @return {Command} `this` command for chaining
       */
      helpOption(flags, description) {
        if (typeof flags === "boolean") {
          if (flags) {
            if (this._helpOption === null) this._helpOption = void 0;
            if (this._defaultOptionGroup) {
              this._initOptionGroup(this._getHelpOption());
            }
          } else {
            this._helpOption = null;
          }
          return this;
        }
        this._helpOption = this.createOption(
          flags ?? "-h, --help",
          description ?? "display help for command"
        );
        if (flags || description) this._initOptionGroup(this._helpOption);
        return this;
      }
      /**
       * Lazy create help option.
       * Returns null if has been disabled with .helpOption(false).
       *
       * @returns {(Option | null)} the help option
       * @package
       */
      _getHelpOption() {
        if (this._helpOption === void 0) {
          this.helpOption(void 0, void 0);
        }
        return this._helpOption;
      }
      /**
       * Supply your own option to use for the built-in help option.
       * This is an alternative to using helpOption() to customise the flags and description etc.
       *
       * @param {Option} option
       * @return {Command} `this` command for chaining
       */
      addHelpOption(option) {
        this._helpOption = option;
        this._initOptionGroup(option);
        return this;
      }
      /**
       * Output help information and exit.
       *
       * Outputs built-in help, and custom text added using `.addHelpText()`.
       *
       * @param {{ error: boolean }} [contextOptions] - pass {error:true} to write to stderr instead of stdout
       */
      help(contextOptions) {
        this.outputHelp(contextOptions);
        let exitCode = Number(process2.exitCode ?? 0);
        if (exitCode === 0 && contextOptions && typeof contextOptions !== "function" && contextOptions.error) {
          exitCode = 1;
        }
        this._exit(exitCode, "commander.help", "(outputHelp)");
      }
      /**
       * // Do a little typing to coordinate emit and listener for the help text events.
       * @typedef HelpTextEventContext
       * @type {object}
       * @property {boolean} error
       * @property {Command} command
       * @property {function} write
       */
      /**
       * Add additional text to be displayed with the built-in help.
       *
       * Position is 'before' or 'after' to affect just this command,
       * and 'beforeAll' or 'afterAll' to affect this command and all its subcommands.
       *
       * @param {string} position - before or after built-in help
       * @param {(string | Function)} text - string to add, or a function returning a string
       * @return {Command} `this` command for chaining
       */
      addHelpText(position, text) {
        const allowedValues = ["beforeAll", "before", "after", "afterAll"];
        if (!allowedValues.includes(position)) {
          throw new Error(`Unexpected value for position to addHelpText.
Expecting one of '${allowedValues.join("', '")}'`);
        }
        const helpEvent = `${position}Help`;
        this.on(helpEvent, (context) => {
          let helpStr;
          if (typeof text === "function") {
            helpStr = text({ error: context.error, command: context.command });
          } else {
            helpStr = text;
          }
          if (helpStr) {
            context.write(`${helpStr}
`);
          }
        });
        return this;
      }
      /**
       * Output help information if help flags specified
       *
       * @param {Array} args - array of options to search for help flags
       * @private
       */
      _outputHelpIfRequested(args) {
        const helpOption = this._getHelpOption();
        const helpRequested = helpOption && args.find((arg) => helpOption.is(arg));
        if (helpRequested) {
          this.outputHelp();
          this._exit(0, "commander.helpDisplayed", "(outputHelp)");
        }
      }
    };
    function incrementNodeInspectorPort(args) {
      return args.map((arg) => {
        if (!arg.startsWith("--inspect")) {
          return arg;
        }
        let debugOption;
        let debugHost = "127.0.0.1";
        let debugPort = "9229";
        let match;
        if ((match = arg.match(/^(--inspect(-brk)?)$/)) !== null) {
          debugOption = match[1];
        } else if ((match = arg.match(/^(--inspect(-brk|-port)?)=([^:]+)$/)) !== null) {
          debugOption = match[1];
          if (/^\d+$/.test(match[3])) {
            debugPort = match[3];
          } else {
            debugHost = match[3];
          }
        } else if ((match = arg.match(/^(--inspect(-brk|-port)?)=([^:]+):(\d+)$/)) !== null) {
          debugOption = match[1];
          debugHost = match[3];
          debugPort = match[4];
        }
        if (debugOption && debugPort !== "0") {
          return `${debugOption}=${debugHost}:${parseInt(debugPort) + 1}`;
        }
        return arg;
      });
    }
    function useColor() {
      if (process2.env.NO_COLOR || process2.env.FORCE_COLOR === "0" || process2.env.FORCE_COLOR === "false")
        return false;
      if (process2.env.FORCE_COLOR || process2.env.CLICOLOR_FORCE !== void 0)
        return true;
      return void 0;
    }
    exports.Command = Command2;
    exports.useColor = useColor;
  }
});

// node_modules/commander/index.js
var require_commander = __commonJS({
  "node_modules/commander/index.js"(exports) {
    var { Argument: Argument2 } = require_argument();
    var { Command: Command2 } = require_command();
    var { CommanderError: CommanderError2, InvalidArgumentError: InvalidArgumentError2 } = require_error();
    var { Help: Help2 } = require_help();
    var { Option: Option2 } = require_option();
    exports.program = new Command2();
    exports.createCommand = (name) => new Command2(name);
    exports.createOption = (flags, description) => new Option2(flags, description);
    exports.createArgument = (name, description) => new Argument2(name, description);
    exports.Command = Command2;
    exports.Option = Option2;
    exports.Argument = Argument2;
    exports.Help = Help2;
    exports.CommanderError = CommanderError2;
    exports.InvalidArgumentError = InvalidArgumentError2;
    exports.InvalidOptionArgumentError = InvalidArgumentError2;
  }
});

// src/dom0/exit-codes.ts
var EXIT_OK = 0;
var EXIT_FAILED = 1;
var EXIT_USAGE = 2;

// node_modules/commander/esm.mjs
var import_index = __toESM(require_commander(), 1);
var {
  program,
  createCommand,
  createArgument,
  createOption,
  CommanderError,
  InvalidArgumentError,
  InvalidOptionArgumentError,
  // deprecated old name
  Command,
  Argument,
  Option,
  Help
} = import_index.default;

// package.json
var package_default = {
  name: "paravane",
  version: "0.1.0",
  description: "Xen's paravirtual userland in TypeScript: xenstored, xenconsoled, split drivers and dom0 tooling",
  license: "MIT",
  private: true,
  type: "module",
  engines: {
    node: ">=20.19"
  },
  bin: {
    paravane: "dist/paravane.js"
  },
  scripts: {
    start: "scripts/setup && tsx scripts/start.ts",
    test: "scripts/test",
    "test:unit": "vitest run",
    "test:xen": "scripts/setup && vitest run --config vitest.xen.config.ts",
    sim: "scripts/setup --no-xen && node dist/paravane.js sim",
    check: "scripts/check",
    build: "scripts/build",
    torture: "scripts/setup --no-xen && tsx scripts/torture.ts",
    bench: "scripts/setup && tsx test/bench/bench.ts"
  },
  devDependencies: {
    "@biomejs/biome": "2.6.8",
    "@types/node": "20.19.43",
    "dependency-cruiser": "17.4.3",
    esbuild: "0.28.2",
    "fast-check": "4.10.2",
    knip: "6.44.2",
    "node-gyp": "11.5.0",
    "node-pty": "1.1.0",
    qjsc: "0.3.0",
    tsx: "4.23.15",
    typescript: "6.0.3",
    vitest: "4.1.12"
  },
  dependencies: {
    commander: "14.0.3",
    "node-addon-api": "8.9.2",
    pino: "10.4.0",
    "pino-pretty": "13.2.0"
  },
  overrides: {
    qjsc: {
      commander: "$commander",
      "node-addon-api": "$node-addon-api",
      "node-gyp": "$node-gyp"
    }
  }
};

// src/dom0/block-command.ts
import { realpath, stat, truncate } from "node:fs/promises";

// src/dom0/virtual-device.ts
var XVD_MAJOR = 202;
var CLASSIC_DISKS = 16;
var CLASSIC_PARTITIONS = 16;
var EXTENDED = 1 << 28;
var DISKS_MAX = 1 << 20;
function virtualDeviceNumber(name) {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const [, letters, digits = "0"] = /^xvd([a-z]{1,3})(\d{1,3})?$/.exec(name) ?? [];
  if (letters === void 0)
    throw new InvalidArgumentError("it is a name such as xvdb, or a number.");
  let disk = 0;
  for (const letter of letters) disk = disk * 26 + letter.charCodeAt(0) - 96;
  return deviceNumber(disk - 1, Number(digits));
}
function deviceNumber(disk, partition) {
  if (disk < CLASSIC_DISKS && partition < CLASSIC_PARTITIONS) {
    return XVD_MAJOR << 8 | disk << 4 | partition;
  }
  if (disk < DISKS_MAX && partition < 256) return EXTENDED | disk << 8 | partition;
  throw new InvalidArgumentError("there are no so many disks or partitions.");
}
function virtualDeviceName(number) {
  if (number >= EXTENDED) return diskName(number - EXTENDED >>> 8, number & 255);
  if (number >>> 8 === XVD_MAJOR) return diskName((number & 255) >>> 4, number & 15);
  return String(number);
}
function diskName(disk, partition) {
  let letters = "";
  for (let rest = disk + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(97 + (rest - 1) % 26) + letters;
  }
  return `xvd${letters}${partition === 0 ? "" : partition}`;
}
function freeVirtualDevice(taken) {
  for (let disk = 0; ; disk++) {
    const number = deviceNumber(disk, 0);
    if (!taken.has(number)) return number;
  }
}

// src/dom0/block-devices.ts
async function children(nodes, path) {
  try {
    return await nodes.list(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
async function findDomain(store, wanted) {
  for (const domid of await children(store, "/local/domain")) {
    const name = await store.readIfPresent(`/local/domain/${domid}/name`);
    if (domid === wanted || name === wanted) return domId(Number(domid));
  }
  throw new XenError("ESRCH", `find domain ${wanted}`, "there is no such domain");
}
async function listDevices(store, only) {
  const domids = only === void 0 ? await children(store, "/local/domain") : [String(only)];
  const entries = [];
  for (const domid of domids.map(Number).sort((a, b) => a - b)) {
    const directory = `/local/domain/${domid}/device/vbd`;
    const devids = (await children(store, directory)).map(Number).sort((a, b) => a - b);
    for (const devid of devids) {
      const front = `${directory}/${devid}`;
      const back = await store.readIfPresent(`${front}/backend`);
      if (back !== void 0) entries.push({ domid: domId(domid), devid, front, back });
    }
  }
  return entries;
}
async function findDevice(store, domid, devid) {
  const found = (await listDevices(store, domid)).find((entry) => entry.devid === devid);
  if (found !== void 0) return found;
  const operation = `find ${virtualDeviceName(devid)} of domain ${domid}`;
  throw new XenError("ENOENT", operation, "there is no such disk");
}
async function attachDevice(store, request) {
  const { domid, backend, type } = request;
  if (!(await children(store, "/local/domain")).includes(String(backend))) {
    throw new XenError("ESRCH", "attach a disk", `there is no domain ${backend} to serve it`);
  }
  return store.transaction(async (nodes) => {
    const directory = `${domainHome(domid)}/device/vbd`;
    const taken = new Set((await children(nodes, directory)).map(Number));
    const devid = request.devid ?? freeVirtualDevice(taken);
    if (taken.has(devid)) {
      const operation = `attach ${virtualDeviceName(devid)} to domain ${domid}`;
      throw new XenError("EEXIST", operation, "the domain has a disk there");
    }
    const front = `${directory}/${devid}`;
    const back = `${domainHome(backend)}/backend/${type}/${domid}/${devid}`;
    await writeDirectory(nodes, back, backend, domid, backKeys(request, front, devid));
    await writeDirectory(nodes, front, domid, backend, {
      backend: back,
      "backend-id": String(backend),
      "virtual-device": String(devid),
      "device-type": request.cdrom ? "cdrom" : "disk",
      state: String(XenbusStateInitialising)
    });
    return { domid, devid, front, back };
  });
}
function backKeys(request, front, devid) {
  const { domid, disk, mode, cdrom, bytesPerSecond, discard } = request;
  return {
    frontend: front,
    "frontend-id": String(domid),
    params: disk,
    "physical-device-path": disk,
    mode,
    "device-type": cdrom ? "cdrom" : "disk",
    dev: virtualDeviceName(devid),
    removable: cdrom ? "1" : "0",
    "discard-enable": discard ? "1" : "0",
    ...bytesPerSecond === void 0 ? {} : { [RATE_LIMIT_KEY]: String(bytesPerSecond) },
    online: "1",
    state: String(XenbusStateInitialising)
  };
}
async function writeDirectory(nodes, path, owner, reader, keys) {
  const permissions = [
    { domid: owner, access: "n" },
    { domid: reader, access: "r" }
  ];
  await nodes.mkdir(path);
  await nodes.setPermissions(path, permissions);
  for (const [key, value] of Object.entries(keys)) {
    await nodes.write(`${path}/${key}`, value);
    await nodes.setPermissions(`${path}/${key}`, permissions);
  }
}
async function untilConnected(store, { domid, devid, front, back }, timeout_ms) {
  const operation = `attach ${virtualDeviceName(devid)} to domain ${domid}`;
  const home = domainHome(domId(Number(back.split("/")[3])));
  const errorNode = `${home}/error${back.slice(home.length)}/error`;
  await until(store, [front, back, errorNode], timeout_ms, operation, async () => {
    const failure = await store.readIfPresent(errorNode);
    if (failure !== void 0) throw new XenError("EIO", operation, failure);
    return await isInState(store, front, XenbusStateConnected) && await isInState(store, back, XenbusStateConnected);
  });
}
async function detachDevice(store, entry, timeout_ms) {
  const { domid, devid, back } = entry;
  const operation = `detach ${virtualDeviceName(devid)} from domain ${domid}`;
  if ((await children(store, `/libxl/${domid}/device/vbd/${devid}`)).length > 0) {
    throw new XenError("EPERM", operation, "libxl has attached it: use xl block-detach");
  }
  await store.transaction(async (nodes) => {
    const state = await nodes.readIfPresent(`${back}/state`);
    if (state === void 0) return;
    await nodes.write(`${back}/online`, "0");
    if (parseXenbusState(state) === XenbusStateClosed) return;
    await nodes.write(`${back}/state`, String(XenbusStateClosing));
  });
  await until(store, [back], timeout_ms, operation, async () => {
    const state = await store.readIfPresent(`${back}/state`);
    return state === void 0 || parseXenbusState(state) === XenbusStateClosed;
  });
  await removeDevice(store, entry);
}
async function removeDevice(store, { front, back }) {
  await store.transaction((nodes) => removeWithEmptyParents(nodes, front));
  await store.transaction((nodes) => removeWithEmptyParents(nodes, back));
}
async function removeWithEmptyParents(nodes, path) {
  if (await nodes.readIfPresent(path) === void 0) return;
  await nodes.remove(path);
  for (let parent = parentPath(path); !/^\/local\/domain\/\d+$/.test(parent); ) {
    if (parent.endsWith("/device") || (await children(nodes, parent)).length > 0) return;
    await nodes.remove(parent);
    parent = parentPath(parent);
  }
}
async function askToRefresh(store, { back }) {
  await store.write(`${back}/params`, await store.readIfPresent(`${back}/params`) ?? "");
}
async function readStatistics(store, { back, devid, domid }, timeout_ms) {
  const node = `${back}/${STATISTICS_KEY}`;
  const operation = `read the statistics of ${virtualDeviceName(devid)} of domain ${domid}`;
  await store.write(node, "");
  let text = "";
  await until(store, [node], timeout_ms, operation, async () => {
    text = await store.readIfPresent(node) ?? "";
    return text !== "";
  });
  return parseStatistics(text);
}
async function isInState(store, path, state) {
  return parseXenbusState(await store.readIfPresent(`${path}/state`)) === state;
}
async function until(store, paths, timeout_ms, operation, look) {
  let wake = () => {
  };
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    wake();
  }, timeout_ms);
  let changed = true;
  const watches = await Promise.all(
    paths.map(
      (path) => store.watch(path, () => {
        changed = true;
        wake();
      })
    )
  );
  try {
    for (; ; ) {
      changed = false;
      if (await look()) return;
      if (late) {
        throw new XenError("ETIMEDOUT", operation, `no answer within ${timeout_ms / 1e3} s`);
      }
      if (!changed) {
        await new Promise((resolve3) => {
          wake = resolve3;
        });
      }
    }
  } finally {
    clearTimeout(timer);
    await Promise.all(watches.map((watch) => watch.close()));
  }
}

// src/dom0/option-values.ts
function wholeNumber(min) {
  return (argument) => {
    if (!/^[0-9]{1,9}$/.test(argument) || Number(argument) < min) {
      throw new InvalidArgumentError(`it is a whole number from ${min}.`);
    }
    return Number(argument);
  };
}
function namedNumbers(names2) {
  const number = wholeNumber(0);
  return (argument, previous = {}) => {
    const [name, value] = argument.split("=", 2);
    if (name === void 0 || value === void 0 || !names2.includes(name)) {
      throw new InvalidArgumentError(`it is <what>=<number>, <what> one of ${names2.join(", ")}.`);
    }
    return { ...previous, [name]: number(value) };
  };
}
function withUnit(units, example) {
  return (argument) => {
    const [, digits, unit = ""] = /^([0-9]{1,9})([A-Za-z]?)$/.exec(argument) ?? [];
    const factor = units[unit];
    if (digits === void 0 || factor === void 0 || Number(digits) === 0) {
      throw new InvalidArgumentError(
        `it is a whole number from 1 with a unit, such as ${example}.`
      );
    }
    return Number(digits) * factor;
  };
}
var byteCount = withUnit(
  { "": 1, k: 2 ** 10, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 },
  "64k, 10M or 1G"
);
var timeSpan = withUnit(
  { s: 1e3, m: 6e4, h: 36e5, d: 864e5 },
  "90s, 30m, 12h or 7d"
);

// src/dom0/value-text.ts
var ESCAPED_AS = {
  "	": "\\t",
  "\n": "\\n",
  "\r": "\\r",
  "\\": "\\\\"
};
var ESCAPE_MEANS = {
  t: "	",
  n: "\n",
  r: "\r"
};
function escapeCharacter(character) {
  const known = ESCAPED_AS[character];
  if (known !== void 0) return known;
  const code = character.charCodeAt(0);
  return code < 8 ? `\\00${code}` : `\\x${code.toString(16).padStart(2, "0")}`;
}
function escapeValue(value) {
  return value.replace(/[^ -[\]-~]/g, escapeCharacter);
}
function unescapeValue(text) {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]?))/g,
    (whole, hex, octal, other) => {
      if (hex !== void 0) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== void 0) return String.fromCharCode(Number.parseInt(octal, 8) & 255);
      return other ? ESCAPE_MEANS[other] ?? other : whole;
    }
  );
}
function typedBytes(argument) {
  return Buffer.from(argument, "utf8").toString("latin1");
}

// src/dom0/store-command.ts
var accessOf = ({ socket }) => ({ native: loadNative, path: socket });
var StoreCommands = class {
  terminal;
  program;
  setExitCode;
  constructor(program2, terminal, setExitCode) {
    this.program = program2;
    this.terminal = terminal;
    this.setExitCode = setExitCode;
  }
  /** Adds a command to the program; its arguments, options and action are up to the caller. */
  add(name, summary, examples) {
    return this.program.command(name).summary(summary).description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`).option("--socket <file>", "xenstored's socket or device, instead of the usual one").addHelpText("after", `
Examples:
${examples.map((text) => `  ${text}
`).join("")}`);
  }
  /** Connects, runs `body` and disconnects. */
  async run(options, body) {
    await this.runOn(await connectXenstore(accessOf(options)), body);
  }
  /** As `run`, for a body that looks on for long: it goes on with the next xenstored. */
  async follow(options, body) {
    const log = logTo((level, message) => {
      if (level !== "debug") this.terminal.error(`paravane: ${message}
`);
    });
    await this.runOn(await followXenstore(accessOf(options), log), body);
  }
  async runOn(store, body) {
    try {
      this.setExitCode(await body(store) ?? EXIT_OK);
    } finally {
      store.close();
    }
  }
  /** Prints a line of ASCII. */
  line(text) {
    this.terminal.out(`${text}
`);
  }
};
var PATH_HELP = "absolute, or relative to the home of the domain";
function parsePath(argument) {
  try {
    absoluteOrSpecialPath(typedBytes(argument), "/local/domain/0");
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
  return argument;
}
function collect(parse) {
  return (argument, previous) => [
    ...previous ?? [],
    parse(argument)
  ];
}
function together(store, many, body) {
  return many ? store.transaction(body) : body(store);
}

// src/dom0/block-command.ts
var DOMAIN_HELP = "number or name of the guest";
var DEVICE_HELP = "the disk as the guest names it, such as xvdb";
var TIMEOUT_S = 30;
var STATISTICS_TIMEOUT_MS = 5e3;
function addBlockCommand(program2, terminal, setExitCode) {
  const block = program2.command("block").summary("attach, detach, list, resize and watch disks of guests").description("Disks of guests: attach, detach, list, resize, statistics.");
  const commands = new StoreCommands(block, terminal, setExitCode);
  addAttach(commands);
  addDetach(commands);
  addList(commands);
  addResize(commands);
  addStatistics(commands);
}
function addAttach(commands) {
  commands.add("attach", "give a running guest a disk that blkback serves", [
    "paravane block attach guest /srv/data.img",
    "paravane block attach 3 /dev/vg0/data --vdev xvdc --mode r --rate-limit 50M",
    "paravane block attach guest nbd+unix:///?socket=/run/disk.socket"
  ]).argument("<domain>", DOMAIN_HELP).argument(
    "<disk>",
    "a file, a block device, nbd:\u2026 or nbd+unix:\u2026, vbd:NUMBER for a disk of ours"
  ).option("--vdev <name>", `${DEVICE_HELP}; the next free one unless given`, virtualDeviceNumber).option("--mode <mode>", "r, w, or w! for a disk that others may write too", parseMode, "w").option("--cdrom", "a CD-ROM drive, which is read-only").option("--no-discard", "offer the guest no way to give storage back").option("--rate-limit <bytes>", "bytes a second, with K, M or G for more", byteCount).option("--backend <domid>", "the domain whose blkback serves it", wholeNumber(0), DOM0).option("--type <name>", "blkback's --type there", "vbd").option("--no-wait", "do not wait until the guest uses it").option("--timeout <seconds>", "how long to wait", wholeNumber(1), TIMEOUT_S).action(async (domain, disk, options) => {
    await commands.run(options, async (store) => {
      const entry = await attachDevice(store, {
        domid: await findDomain(store, domain),
        devid: options.vdev,
        disk: await diskPath(disk, options.backend),
        mode: options.mode,
        cdrom: options.cdrom === true,
        backend: domId(options.backend),
        type: options.type,
        bytesPerSecond: options.rateLimit,
        discard: options.discard
      });
      if (options.wait) await connectOrRemove(store, entry, options.timeout * 1e3);
      commands.line(virtualDeviceName(entry.devid));
    });
  });
}
async function connectOrRemove(store, entry, timeout_ms) {
  try {
    await untilConnected(store, entry, timeout_ms);
  } catch (error) {
    await removeDevice(store, entry);
    throw error;
  }
}
function addDetach(commands) {
  commands.add("detach", "take a disk away from a guest", ["paravane block detach guest xvdb"]).argument("<domain>", DOMAIN_HELP).argument("<device>", DEVICE_HELP, virtualDeviceNumber).option("--force", "at once, whatever the guest makes of it").option("--timeout <seconds>", "how long the guest may take", wholeNumber(1), TIMEOUT_S).action(async (domain, device, options) => {
    await commands.run(options, async (store) => {
      const entry = await findDevice(store, await findDomain(store, domain), device);
      if (options.force === true) await removeDevice(store, entry);
      else await detachDevice(store, entry, options.timeout * 1e3);
    });
  });
}
function addList(commands) {
  commands.add("list", "list disks, one a line, with who serves them", ["paravane block list guest"]).argument("[domain]", `${DOMAIN_HELP}; all unless given`).action(async (domain, options) => {
    await commands.run(options, async (store) => {
      const only = domain === void 0 ? void 0 : await findDomain(store, domain);
      const rows = [["DOMAIN", "DEVICE", "BACKEND", "STATE", "MODE", "MIB", "DISK"]];
      for (const entry of await listDevices(store, only)) rows.push(await listRow(store, entry));
      printTable(commands, rows);
    });
  });
}
async function listRow(store, entry) {
  const { domid, devid, back } = entry;
  const read = (key) => store.readIfPresent(`${back}/${key}`);
  const [, , , backend, , type] = back.split("/");
  const sectors = Number(await read("sectors") ?? Number.NaN);
  return [
    String(domid),
    virtualDeviceName(devid),
    `${backend}/${type}`,
    xenbusStateName(parseXenbusState(await read("state"))),
    await read("mode") ?? "?",
    Number.isNaN(sectors) ? "?" : String(Math.floor(sectors * SECTOR_SIZE / 2 ** 20)),
    await read("physical-device-path") ?? await read("params") ?? "?"
  ];
}
function addResize(commands) {
  commands.add("resize", "tell a guest of the new size of its disk", [
    "paravane block resize guest xvdb 20G",
    "lvextend -L 20G /dev/vg0/data && paravane block resize guest xvdc"
  ]).argument("<domain>", DOMAIN_HELP).argument("<device>", DEVICE_HELP, virtualDeviceNumber).argument("[size]", "gives the file this size first; with K, M or G for more", byteCount).option("--shrink", "even if that cuts the file short").action(async (domain, device, size, options) => {
    await commands.run(options, async (store) => {
      const entry = await findDevice(store, await findDomain(store, domain), device);
      if (size !== void 0) await resizeFile(store, entry, size, options.shrink === true);
      await askToRefresh(store, entry);
    });
  });
}
async function resizeFile(store, { back }, size, shrink) {
  const path = await store.readIfPresent(`${back}/physical-device-path`) ?? await store.read(`${back}/params`);
  const operation = `resize ${path}`;
  const stats = await stat(path).catch((error) => {
    throw new XenError("ENOENT", operation, errorMessage(error), error);
  });
  if (!stats.isFile()) {
    throw new XenError("EINVAL", operation, "it is no file: resize it by its own means first");
  }
  if (size % SECTOR_SIZE !== 0 || size === 0) {
    throw new XenError("EINVAL", operation, `a disk has whole sectors of ${SECTOR_SIZE} bytes`);
  }
  if (size < stats.size && !shrink) {
    throw new XenError("EINVAL", operation, `it has ${stats.size} bytes: --shrink cuts it short`);
  }
  await truncate(path, size);
}
function addStatistics(commands) {
  commands.add("stats", "show what blkback did for disks since their guests connected", [
    "paravane block stats guest",
    "paravane block stats guest xvdb --json"
  ]).argument("<domain>", DOMAIN_HELP).argument("[device]", DEVICE_HELP, virtualDeviceNumber).option("--json", "everything there is, as JSON: one disk a line").action(async (domain, device, options) => {
    await commands.run(options, async (store) => {
      const domid = await findDomain(store, domain);
      const entries = device === void 0 ? await listDevices(store, domid) : [await findDevice(store, domid, device)];
      const rows = [["DEVICE", "OPERATION", "COUNT", "FAILED", "BYTES", "MEAN MS"]];
      for (const entry of entries) {
        const statistics = await readStatistics(store, entry, STATISTICS_TIMEOUT_MS);
        const device2 = virtualDeviceName(entry.devid);
        if (options.json === true) commands.line(JSON.stringify({ device: device2, ...statistics }));
        else rows.push(...statisticsRows(device2, statistics));
      }
      if (options.json !== true) printTable(commands, rows);
    });
  });
}
function statisticsRows(device, { counts }) {
  return Object.entries(counts).map(
    ([operation, { operations, failed, bytes, time_ms }]) => [
      device,
      operation,
      String(operations),
      String(failed),
      String(bytes),
      operations === 0 ? "-" : (time_ms / operations).toFixed(2)
    ]
  );
}
function printTable(commands, rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    commands.line(
      row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
    );
  }
}
function parseMode(argument) {
  if (["r", "w", "w!"].includes(argument)) return argument;
  throw new InvalidArgumentError("it is r, w or w!.");
}
async function diskPath(disk, backend) {
  if (/^[a-z+]+:/.test(disk) || backend !== DOM0) return disk;
  try {
    return await realpath(disk);
  } catch (error) {
    throw new XenError("ENOENT", `find disk ${disk}`, "there is no such file", error);
  }
}

// src/dom0/build-command.ts
import { resolve } from "node:path";

// src/dom0/stub-domains.ts
var diskConfig = (target) => [
  "driver_domain = 1",
  "disk = [ 'format=raw,vdev=xvda,access=rw,target=/path/to/disk.img' ]",
  "# In a guest's configuration, once `paravane run driver-domain` has started this one:",
  `# disk = [ 'format=raw,vdev=xvda,access=rw,backend=blkback,target=${target}' ]`
];
var stubDomains = [
  {
    name: "xenstored",
    summary: "serve xenstore from a domain of its own",
    onCrash: "restart",
    unikernel: { memory_mib: 8 }
  },
  {
    name: "blkback",
    summary: "serve disks to guests from a domain of its own, a driver domain",
    // `paravane run driver-domain` starts it again, which xl could not do under the same domid.
    onCrash: "destroy",
    unikernel: { memory_mib: 16, config: diskConfig("vbd:51712") },
    linux: {
      memory_mib: 384,
      config: diskConfig("/dev/xvda"),
      words: ["blkback", "--driver-domain"]
    }
  },
  {
    name: "echo",
    summary: "say every line that is typed at the console",
    onCrash: "restart",
    unikernel: { memory_mib: 8 }
  }
];
var ownStubDomain = (name) => ({
  name,
  summary: "a program of a user",
  onCrash: "destroy",
  unikernel: { memory_mib: 16 }
});
var entryOf = ({ name }) => `stubdoms/${name}/unikernel.ts`;
function xlConfig(stubDomain, form, boot) {
  const { name, onCrash } = stubDomain;
  return [
    `name = "${name}"`,
    'type = "pvh"',
    ...boot,
    `memory = ${form.memory_mib}`,
    `on_crash = "${onCrash}"`,
    ...form.config ?? [],
    ""
  ].join("\n");
}
function unikernelConfig(stubDomain, image) {
  const boot = [`kernel = "${image}"`, "shadow_memory = 2"];
  return xlConfig(stubDomain, stubDomain.unikernel, boot);
}
function linuxConfig(stubDomain, form, kernel, image) {
  const boot = [
    `kernel = "${kernel}"`,
    `ramdisk = "${image}"`,
    'extra = "console=hvc0 quiet panic=-1"',
    'on_reboot = "destroy"'
  ];
  return xlConfig(stubDomain, form, boot);
}

// src/dom0/build-command.ts
function report(terminal, image, bytes, { memory_mib }) {
  terminal.error(`paravane: ${image}: ${bytes} bytes, runs in ${memory_mib} MiB; for xl:
`);
}
async function buildUnikernel(stubDomain, entry, output, terminal) {
  const { buildImage } = await import("./chunks/image-FCHLQAWN.js");
  const image = resolve(output);
  const bytes = await buildImage(entry, image);
  report(terminal, image, bytes, stubDomain.unikernel);
  terminal.out(unikernelConfig(stubDomain, image));
}
async function buildLinux(stubDomain, form, output, terminal) {
  const { buildLinuxImage } = await import("./chunks/linux-image-7JLN3RTN.js");
  const { debianKernel } = await import("./chunks/debian-kernel-DCHBAO6K.js");
  const image = resolve(output);
  const bytes = await buildLinuxImage(form.words, image);
  report(terminal, image, bytes, form);
  terminal.out(linuxConfig(stubDomain, form, debianKernel().image, image));
}
async function build(stubDomain, options, terminal) {
  const { name, linux } = stubDomain;
  if (options.runtime === "linux" && linux !== void 0) {
    await buildLinux(stubDomain, linux, options.output ?? `${name}.initramfs`, terminal);
  } else {
    const output = options.output ?? `${name}.elf`;
    await buildUnikernel(stubDomain, entryOf(stubDomain), output, terminal);
  }
}
async function buildProject(directory, options, terminal) {
  const { findProject } = await import("./chunks/project-YHL2H2CH.js");
  const { name, entry } = findProject(resolve(directory));
  await buildUnikernel(ownStubDomain(name), entry, options.output ?? `${name}.elf`, terminal);
}
function addBuildCommand(program2, terminal) {
  const command = program2.command("build").summary("make a stub domain of a service").description(
    "Make an image of a service that Xen boots as a domain of its own. Needs a checkout and its tools, see scripts/setup. The same sources give the same bytes. Prints the configuration for xl. What is none of the services below is a directory of `paravane new`."
  ).enablePositionalOptions().argument("[directory]", "with a program of your own; one that is named as a service: ./NAME").option("-o, --output <file>", "where its image goes (NAME.elf)").action(async (directory, options) => {
    if (directory === void 0) command.help({ error: true });
    else await buildProject(directory, options, terminal);
  });
  for (const stubDomain of stubDomains) {
    const runtimes = stubDomain.linux === void 0 ? ["unikernel"] : ["unikernel", "linux"];
    command.command(stubDomain.name).summary(stubDomain.summary).description(`Make an image of a stub domain. What it does: ${stubDomain.summary}.`).option("-o, --output <file>", `where the image goes (${stubDomain.name}.elf or .initramfs)`).addOption(
      new Option("--runtime <runtime>", "our own kernel, or Debian's with Node in an initramfs").choices(runtimes).default("unikernel")
    ).action((options) => build(stubDomain, options, terminal));
  }
}

// src/dom0/console-socket.ts
var VIEWER_SOCKET = "/run/paravane/xenconsoled.socket";

// src/dom0/console-command.ts
var SCROLLBACK_DEFAULT = 16 * 1024;
function parseKey(argument) {
  const [, control] = /^\^([@-_a-z])$/.exec(argument) ?? [];
  if (control !== void 0) return control.charCodeAt(0) & 31;
  if (/^[!-~]$/.test(argument)) return argument.charCodeAt(0);
  throw new InvalidArgumentError("it is one character, or ^ and one for Ctrl: ^A.");
}
var DETACH_PATIENCE_MS = 1e4;
function addConsoleCommands(commands) {
  addConsoleCommand(commands);
  addAttachCommand(commands);
  addDetachCommand(commands);
}
function addAttachCommand(commands) {
  commands.add("console-attach", "give a running domain a further console", [
    "paravane console-attach web",
    "paravane console-attach web --number 2 --connect-to /run/web-agent.socket"
  ]).argument("<domain>", "its name or its domid").option("-n, --number <number>", "the number of the console", wholeNumber(1)).option("--connect-to <socket>", "a Unix socket to listen at, instead of a pty").action(async (domain, { number, connectTo: socket, ...options }) => {
    const { findDomain: findDomain2 } = await import("./chunks/domain-name-4VZSL4LG.js");
    const { attachConsole } = await import("./chunks/console-device-HZCTYXY3.js");
    await commands.run(options, async (store) => {
      const domid = await findDomain2(store, domain);
      commands.line(String(await attachConsole(store, domid, { number, socket })));
    });
  });
}
function addDetachCommand(commands) {
  commands.add("console-detach", "take a further console away from a domain", [
    "paravane console-detach web 1"
  ]).argument("<domain>", "its name or its domid").argument("<number>", "the number of the console", wholeNumber(1)).action(async (domain, number, options) => {
    const { findDomain: findDomain2 } = await import("./chunks/domain-name-4VZSL4LG.js");
    const { detachConsole } = await import("./chunks/console-device-HZCTYXY3.js");
    await commands.run(options, async (store) => {
      const domid = await findDomain2(store, domain);
      await detachConsole(store, domid, number, DETACH_PATIENCE_MS);
    });
  });
}
function addConsoleCommand(commands) {
  commands.add("console", "look at the console of a domain and type at it", [
    "paravane console web",
    "paravane console web --read-only --scrollback 1M",
    "paravane console 3 --number 1 --detach-key ^A --log session.txt"
  ]).argument("<domain>", "its name or its domid").option("-n, --number <number>", "which of its consoles", wholeNumber(0), 0).option("-r, --read-only", "look only: what is typed goes nowhere").option("--log <file>", "append all that is shown to this file").option("--detach-key <key>", "the key that detaches (default: ^])", parseKey, 29).option("--scrollback <bytes>", "how much of the past to show", byteCount, SCROLLBACK_DEFAULT).option("--viewer-socket <file>", "the console daemon's socket", VIEWER_SOCKET).action(async (domain, options) => {
    const { findDomain: findDomain2 } = await import("./chunks/domain-name-4VZSL4LG.js");
    const { ConsoleSession } = await import("./chunks/console-session-CHBTZN7F.js");
    await commands.run(options, async (store) => {
      const domid = await findDomain2(store, domain);
      store.close();
      const session = new ConsoleSession({
        socket: options.viewerSocket,
        request: {
          domid,
          console: options.number,
          readOnly: options.readOnly === true,
          scrollback: options.scrollback
        },
        detachKey: options.detachKey,
        logFile: options.log,
        input: process.stdin,
        output: process.stdout,
        // A terminal in raw mode wants both.
        say: (text) => commands.terminal.error(`\r
paravane: ${text}\r
`)
      });
      await session.run();
    });
  });
}

// src/dom0/new-command.ts
import { resolve as resolve2 } from "node:path";
var EXAMPLE = `
Example:
  paravane new greeter
  paravane build greeter/ >greeter.cfg
  xl create -c greeter.cfg
`;
function addNewCommand(program2, terminal) {
  program2.command("new").summary("begin a service or a guest of your own").description(
    "Make a directory with a small program in TypeScript on the driver library, which `paravane build` makes a domain of."
  ).argument("<directory>", "a new or an empty one; its name becomes that of the domain").addOption(
    new Option("--template <which>", "a service for other domains, or a guest with a disk").choices(["service", "guest"]).default("service")
  ).addHelpText("after", EXAMPLE).action(async (directory, { template }) => {
    const { makeProject } = await import("./chunks/project-YHL2H2CH.js");
    const { name } = await makeProject(resolve2(directory), template);
    terminal.error(
      `paravane: ${directory} holds a ${template}; next:
  paravane build ${directory.replace(/\/*$/, "/")} >${name}.cfg
  xl create -c ${name}.cfg
`
    );
  });
}

// src/dom0/run-command.ts
var LOG_LEVELS = ["error", "warn", "info", "debug"];
async function serve(service, options, log) {
  const { announceReady, endSignal, writePidFile } = await import("./chunks/daemon-5L76WYVG.js");
  const signalled = endSignal(log);
  const running = await service.start(options, log);
  const onHangup = () => {
    log.info("opening the logs again");
    running.reopenLogs?.();
  };
  try {
    const removePidFile = options.pidFile === void 0 ? () => {
    } : writePidFile(options.pidFile);
    try {
      process.on("SIGHUP", onHangup);
      log.info(`${service.name} is ready`);
      announceReady();
      await signalled;
    } finally {
      process.off("SIGHUP", onHangup);
      removePidFile();
    }
  } finally {
    await running.close();
  }
}
async function serveInBackground(service, logFile, log) {
  const { startInBackground } = await import("./chunks/daemon-5L76WYVG.js");
  const args = process.argv.slice(2).filter((argument) => argument !== "--daemon");
  const pid = await startInBackground(args, logFile);
  log.info(`${service.name} serves in the background as process ${pid}`);
}
function addRunCommand(program2, services2) {
  const run = program2.command("run").summary("run a service of the host").description("Run a service of the host in this process, until SIGINT or SIGTERM ends it.").enablePositionalOptions();
  for (const service of services2) {
    const command = run.command(service.name).summary(service.summary).description(`${service.summary.charAt(0).toUpperCase()}${service.summary.slice(1)}.`);
    service.addOptions(command);
    command.option("--daemon", "go to the background once it serves").option(
      "--log-file <file>",
      "with --daemon: where the log goes",
      `/var/log/xen/paravane-${service.name}.log`
    ).option("-F, --pid-file <file>", "write the process id to this file").addOption(
      new Option("--log-level <level>", "the least that is logged").choices(LOG_LEVELS).default("info")
    ).addOption(
      new Option("--log-format <format>", "lines for people, or JSON for machines").choices(["text", "json"]).default("text")
    ).action(async (options) => {
      const { nodeLog } = await import("./chunks/log-M7CPNXBR.js");
      const goesOn = service.goesOn?.(options) === true;
      const log = nodeLog({
        level: options.verbose === true ? "debug" : options.logLevel,
        format: options.logFormat,
        file: goesOn && options.daemon === true ? options.logFile : void 0
      });
      if (await service.rehearse?.(options, log)) return;
      if (options.daemon === true && !goesOn)
        await serveInBackground(service, options.logFile, log);
      else await serve(service, options, log);
    });
  }
}

// src/dom0/sim-command.ts
import { setImmediate as turn } from "node:timers/promises";
function addSimCommand(program2, terminal, setExitCode) {
  program2.command("sim").summary("run the services and two guests in the simulator").description(
    "Run xenstored, xenconsoled, blkback and two small guests in the simulator, in this process, and print every step of the protocols. Needs no root and no Xen."
  ).option(
    "--seed <number>",
    "what decides the order of events; the same seed, the same run",
    wholeNumber(0),
    1
  ).option("-q, --quiet", "print the end only").action(async ({ seed, quiet }) => {
    const { simulate } = await import("./chunks/simulation-BVTGT5DV.js");
    let steps = 0;
    const result = await simulate({
      seed,
      settle: () => turn(),
      print: (line2) => {
        steps++;
        if (quiet !== true) terminal.out(`${line2}
`);
      }
    });
    for (const answer of result.answers) terminal.out(`a guest answered: ${answer}
`);
    for (const leftover of result.leftovers) terminal.error(`left over: ${leftover}
`);
    terminal.out(`seed ${seed}: ${steps} steps, ${result.leftovers.length} things left over
`);
    setExitCode(result.leftovers.length === 0 ? EXIT_OK : EXIT_FAILED);
  });
}

// src/dom0/store-listing.ts
var FRAME = 8;
var PERMISSIONS_COLUMN = 60;
var NODES_AT_ONCE = 256;
async function nodeFacts(store, path, name, withPermissions) {
  const orHidden = (value, hidden) => value.catch((error) => {
    if (errorCode(error) === "EACCES") return hidden;
    throw error;
  });
  try {
    const [value, permissions, children2] = await Promise.all([
      orHidden(store.read(path), void 0),
      withPermissions ? orHidden(store.getPermissions(path), void 0) : void 0,
      orHidden(store.list(path), [])
    ]);
    return { name, path, value, permissions, children: children2 };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return void 0;
    throw error;
  }
}
function line(node, depth, options) {
  const label = options.fullPaths ? node.path : " ".repeat(depth) + node.name.slice(0, Math.max(0, options.width - FRAME - depth));
  const permissions = node.permissions === void 0 ? "" : `  (${node.permissions.map(formatPermission).join(",")})`;
  if (node.value === void 0) return `${label}:${permissions}`;
  const escaped = escapeValue(node.value);
  if (options.fullPaths) {
    return `${label} = "${escaped}"${permissions === "" ? "" : ` ${permissions}`}`;
  }
  if (options.width < label.length + node.value.length + FRAME) {
    const cut = escaped.slice(0, Math.max(0, options.width - FRAME - label.length));
    return `${label} = "${cut}\\..."${permissions}`;
  }
  const text = `${label} = "${escaped}"`;
  return permissions === "" ? text : dotted(text, options.width) + permissions;
}
function dotted(text, width) {
  let led = `${text} `;
  while (led.length < Math.min(PERMISSIONS_COLUMN, width)) led += led.length % 2 === 1 ? "." : " ";
  return led;
}
async function writeChildren(store, parent, names2, depth, options, write) {
  for (let start = 0; start < names2.length; start += NODES_AT_ONCE) {
    const some = names2.slice(start, start + NODES_AT_ONCE);
    const nodes = await Promise.all(
      some.map((name) => nodeFacts(store, childPath(parent, name), name, options.permissions))
    );
    for (const node of nodes) {
      if (node === void 0) continue;
      write(line(node, depth, options));
      await writeChildren(store, node.path, node.children, depth + 1, options, write);
    }
  }
}
async function writeListing(store, path, options, write) {
  await writeChildren(store, path, await store.list(path), 0, options, write);
}

// src/dom0/store-reading.ts
function addReadingCommands(commands) {
  addLs(commands);
  addList2(commands);
  addRead(commands);
  addExists(commands);
  addWatch(commands);
}
function addLs(commands) {
  commands.add("ls", "show nodes and their values as a tree, as xenstore-ls does", [
    "paravane ls",
    "paravane ls -f -p /local/domain/1"
  ]).argument("[path]", PATH_HELP, parsePath, "/").option("-f, --full-paths", "show whole paths, and cut nothing to the width of the terminal").option("-p, --permissions", "show permissions: n none, r read, w write, b both; owner first").action(async (path, options) => {
    const listing = {
      fullPaths: options.fullPaths === true,
      permissions: options.permissions === true,
      width: commands.terminal.width
    };
    await commands.run(
      options,
      (store) => writeListing(store, path, listing, (text) => commands.line(text))
    );
  });
}
function addList2(commands) {
  commands.add("list", "print the names of the children of nodes", ["paravane list /local/domain"]).argument("<path...>", PATH_HELP, collect(parsePath)).option("-p, --prefix", "print the path before each name").action(async (paths, options) => {
    await commands.run(options, async (store) => {
      const lists = await together(
        store,
        paths.length > 1,
        (nodes) => Promise.all(paths.map((path) => nodes.list(path)))
      );
      lists.forEach((names2, i) => {
        for (const name of names2) commands.line(options.prefix ? `${paths[i]}/${name}` : name);
      });
    });
  });
}
function addRead(commands) {
  commands.add("read", "print the values of nodes, one a line", [
    "paravane read /local/domain/0/name",
    "paravane read --raw /tool/blob > blob"
  ]).argument("<path...>", PATH_HELP, collect(parsePath)).option("-p, --prefix", "print the path before each value").option("-R, --raw", "print the bytes as they are, without escapes and newlines").action(async (paths, options) => {
    await commands.run(options, async (store) => {
      const values = await together(
        store,
        paths.length > 1,
        (nodes) => Promise.all(paths.map((path) => nodes.read(path)))
      );
      values.forEach((value, i) => {
        const prefix = options.prefix ? `${paths[i]}: ` : "";
        if (options.raw) commands.terminal.out(prefix + value);
        else commands.line(prefix + escapeValue(value));
      });
    });
  });
}
function addExists(commands) {
  commands.add("exists", "end with exit code 0 if all nodes exist, otherwise with 1", [
    "paravane exists /local/domain/1 && echo it runs"
  ]).argument("<path...>", PATH_HELP, collect(parsePath)).action(async (paths, options) => {
    await commands.run(options, async (store) => {
      const values = await together(
        store,
        paths.length > 1,
        (nodes) => Promise.all(paths.map((path) => nodes.readIfPresent(path)))
      );
      return values.includes(void 0) ? EXIT_FAILED : EXIT_OK;
    });
  });
}
function parseCount(argument) {
  if (!/^[1-9][0-9]{0,8}$/.test(argument)) {
    throw new InvalidArgumentError("It is a whole number from 1 to 999999999.");
  }
  return Number(argument);
}
function addWatch(commands) {
  commands.add("watch", "print the path of each change at or below nodes, one a line", [
    "paravane watch /local/domain",
    "paravane watch -n 2 @releaseDomain    (the first event comes at once)"
  ]).argument("<path...>", `${PATH_HELP}; or a happening, @releaseDomain`, collect(parsePath)).option("-n, --count <events>", "end after so many events", parseCount).action(async (paths, options) => {
    const count = options.count ?? Number.POSITIVE_INFINITY;
    await commands.follow(
      options,
      (store) => eachEvent(store, paths, count, (path) => commands.line(path))
    );
  });
}
function eachEvent(store, paths, count, print2) {
  return new Promise((resolve3, reject) => {
    let seen = 0;
    const onEvent = (path) => {
      seen++;
      if (seen <= count) print2(path);
      if (seen === count) resolve3();
    };
    Promise.all(paths.map((path) => store.watch(path, onEvent))).catch(reject);
  });
}

// src/dom0/store-writing.ts
function addWritingCommands(commands) {
  addWrite(commands);
  addMkdir(commands);
  addRm(commands);
  addChmod(commands);
}
function addWrite(commands) {
  commands.add("write", "write values, all of them or none", [
    "paravane write /tool/greeting hello",
    "paravane write /tool/bytes 'tab\\tnul\\000\\xff' /tool/other -1"
  ]).argument("<path>", PATH_HELP).argument("<value>", "text with the escapes \\t \\n \\r \\\\ \\ooo \\xhh").argument("[more...]", "further paths and values in turn").option("-R, --raw", "take values as they are, without escapes").passThroughOptions().action(async (path, value, more, options, command) => {
    const values = pairs(command, [path, value, ...more]).map(
      ([target, typed]) => {
        const bytes = typedBytes(typed);
        return [target, options.raw ? bytes : unescapeValue(bytes)];
      }
    );
    await commands.run(
      options,
      (store) => together(store, values.length > 1, async (nodes) => {
        for (const [target, bytes] of values) await nodes.write(target, bytes);
      })
    );
  });
}
function pairs(command, args) {
  const all = [];
  for (let i = 0; i < args.length; i += 2) {
    const [path, value] = [args[i], args[i + 1]];
    if (value === void 0) command.error(`error: there is no value for '${path}'`);
    try {
      all.push([parsePath(path), value]);
    } catch (error) {
      command.error(`error: ${errorMessage(error)}`);
    }
  }
  return all;
}
function addMkdir(commands) {
  commands.add("mkdir", "create empty nodes where there are none", ["paravane mkdir /tool/here"]).argument("<path...>", PATH_HELP, collect(parsePath)).action(async (paths, options) => {
    await commands.run(
      options,
      (store) => together(store, paths.length > 1, async (nodes) => {
        for (const path of paths) await nodes.mkdir(path);
      })
    );
  });
}
function addRm(commands) {
  commands.add("rm", "remove nodes and all below them", [
    "paravane rm /tool/greeting",
    "paravane rm --tidy /tool/a/b/c"
  ]).argument("<path...>", PATH_HELP, collect(parsePath)).option("-t, --tidy", "remove the nodes above as well that are left without value and children").action(async (paths, options) => {
    await commands.run(
      options,
      (store) => together(store, options.tidy === true || paths.length > 1, async (nodes) => {
        for (const path of paths) {
          await nodes.remove(path);
          if (options.tidy) await removeEmptyAbove(nodes, path);
        }
      })
    );
  });
}
async function removeEmptyAbove(nodes, path) {
  for (let above = parentPath(path); above !== "/"; above = parentPath(above)) {
    if (await nodes.read(above) !== "" || (await nodes.list(above)).length > 0) return;
    await nodes.remove(above);
  }
}
function parsePermissionArgument(argument) {
  try {
    return parsePermission(argument);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}
function addChmod(commands) {
  commands.add("chmod", "set the permissions of a node", [
    "paravane chmod /tool/greeting n0 r1   (belongs to domain 0; domain 1 may read)",
    "paravane chmod -r /tool/shared b0     (everybody may read and write)"
  ]).argument("<path>", PATH_HELP, parsePath).argument(
    "<permission...>",
    "n none, r read, w write or b both, and a domid; the first names the owner, and what everybody else may do",
    collect(parsePermissionArgument)
  ).option("-r, --recursive", "of all nodes below as well").option("-u, --upto", "of all nodes above as well, but not of the root").action(async (path, permissions, options) => {
    await commands.run(
      options,
      (store) => together(store, options.recursive === true || options.upto === true, async (nodes) => {
        await changeBelow(nodes, path, permissions, options.recursive === true);
        if (options.upto) await changeAbove(nodes, path, permissions);
      })
    );
  });
}
async function changeBelow(nodes, path, permissions, recursive) {
  await nodes.setPermissions(path, permissions);
  if (!recursive) return;
  for (const name of await nodes.list(path)) {
    await changeBelow(nodes, childPath(path, name), permissions, true);
  }
}
async function changeAbove(nodes, path, permissions) {
  for (let above = parentPath(path); above !== "/"; above = parentPath(above)) {
    await nodes.setPermissions(above, permissions);
  }
}

// src/dom0/top-command.ts
import { setTimeout as sleep } from "node:timers/promises";

// src/dom0/domain-activity.ts
var FIGURES = [
  "requests",
  "errors",
  "refusals",
  "events",
  "received",
  "sent",
  "committed",
  "replayed",
  "conflicted",
  "nodes",
  "watches",
  "transactions",
  "outstanding",
  "memory"
];
var MOMENTARY = /* @__PURE__ */ new Set([
  "nodes",
  "watches",
  "transactions",
  "outstanding",
  "memory"
]);
var LINE = /^domain (\d+): (.*)$/;
var MORE = /^more from (\d+)$/;
function parsed(domid, text, name) {
  const all = new Map(
    text.split(" ").map((pair) => {
      const [key = "", value] = pair.split("=");
      return [key, Number(value)];
    })
  );
  const figures = Object.fromEntries(FIGURES.map((figure) => [figure, all.get(figure) ?? 0]));
  const types = [...all].filter(([key]) => key === key.toUpperCase());
  return {
    domid,
    name,
    figures,
    byType: Object.fromEntries(types)
  };
}
async function nameOf(store, domid) {
  try {
    return await store.read(`/local/domain/${domid}/name`);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}
async function domainActivities(store) {
  const activities = [];
  for (let from = "0"; from !== void 0; ) {
    const reply = await store.control("activity", from);
    from = void 0;
    for (const line2 of reply.split("\n")) {
      const [, domid, text] = LINE.exec(line2) ?? [];
      if (domid !== void 0 && text !== void 0) {
        activities.push(parsed(Number(domid), text, await nameOf(store, Number(domid))));
      }
      from ??= MORE.exec(line2)?.[1];
    }
  }
  return activities;
}
function activitySince(now, earlier) {
  const figures = FIGURES.map((figure) => {
    const before = MOMENTARY.has(figure) ? 0 : earlier?.figures[figure] ?? 0;
    return [figure, Math.max(0, now.figures[figure] - before)];
  });
  const types = Object.entries(now.byType).map(([type, count]) => {
    return [type, Math.max(0, count - (earlier?.byType[type] ?? 0))];
  });
  return {
    ...now,
    figures: Object.fromEntries(figures),
    byType: Object.fromEntries(types)
  };
}

// src/dom0/top-command.ts
function sorted(activities, by) {
  const busiest = (one, other) => by === "domid" ? 0 : other.figures[by] - one.figures[by];
  return [...activities].sort((one, other) => busiest(one, other) || one.domid - other.domid);
}
function tableLines(activities) {
  const lines = [
    ["DOMID", "NAME", ...FIGURES.map((figure) => figure.toUpperCase())],
    ...activities.map(({ domid, name, figures }) => [
      `${domid}`,
      name,
      ...FIGURES.map((figure) => `${figures[figure]}`)
    ])
  ];
  const widths = lines[0]?.map(
    (_, column) => Math.max(...lines.map((line2) => line2[column]?.length ?? 0))
  );
  return lines.map(
    (line2) => line2.map((cell, column) => {
      const width = widths?.[column] ?? 0;
      return column === 1 ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ")
  );
}
function print(commands, activities, options) {
  const rows = sorted(activities, options.sort);
  if (options.json !== true) {
    for (const line2 of tableLines(rows)) commands.line(line2);
    return;
  }
  const flat = rows.map(({ domid, name, figures, byType }) => ({
    domid,
    name,
    ...figures,
    byType
  }));
  commands.line(JSON.stringify(flat));
}
async function show(store, commands, options) {
  let earlier = await domainActivities(store);
  if (options.interval === void 0) {
    print(commands, earlier, options);
    return;
  }
  for (let left = options.count ?? Number.POSITIVE_INFINITY; left > 0; left--) {
    await sleep(options.interval * 1e3);
    const now = await domainActivities(store);
    const before = new Map(earlier.map((activity) => [activity.domid, activity]));
    print(
      commands,
      now.map((activity) => activitySince(activity, before.get(activity.domid))),
      options
    );
    earlier = now;
  }
}
function addTopCommand(commands) {
  commands.add("top", "show which domains keep xenstored busy, the busiest first", [
    "paravane top",
    "paravane top --sort conflicted",
    "paravane top --interval 5",
    'paravane top --json | jq ".[] | select(.refusals > 0)"'
  ]).addOption(
    new Option("--sort <column>", "the column that puts the rows in order").choices(["domid", ...FIGURES]).default("requests")
  ).option("--json", "one line of JSON instead of a table, with the requests by type").option(
    "--interval <seconds>",
    "show again and again what happened since the last time",
    wholeNumber(1)
  ).option("-n, --count <tables>", "with --interval, end after so many", wholeNumber(1)).addHelpText(
    "after",
    `
Counts begin when a domain comes; those of domain 0 include the tools' sockets.
  REFUSALS    what a quota has denied
  RECEIVED    bytes of requests, and SENT of replies and events
  REPLAYED    transactions that were committed although others were in between
  CONFLICTED  transactions that ended with EAGAIN
`
  ).action(async (options) => {
    await commands.follow(options, (store) => show(store, commands, options));
  });
}

// src/dom0/trace-command.ts
import { setTimeout as sleep2 } from "node:timers/promises";
var PAUSE_MS = 100;
var LINE2 = /^(IN|OUT|OBJ|WRL) (.+) (\d{4}-\S+Z) (\S+|operation \d+) \((.*)\)$/;
var DOMAIN = /^domain (\d+)$/;
var TraceSelection = class {
  filter;
  /** Connections whose last request was wanted. */
  answering = /* @__PURE__ */ new Set();
  constructor(filter) {
    this.filter = filter;
  }
  wants(line2) {
    const [, direction, name = "", , type, text = ""] = LINE2.exec(line2) ?? [];
    const domid = DOMAIN.exec(name)?.[1];
    if (this.filter.domid !== void 0 && domid !== String(this.filter.domid)) return false;
    if (this.filter.path === void 0) return true;
    if (direction !== "IN" && direction !== "OUT") return false;
    if (direction === "OUT" && type !== "WATCH_EVENT") return this.answering.has(name);
    const wanted = this.isBelow(text.split(" ", 1)[0] ?? "", domid ?? "0", this.filter.path);
    if (direction === "IN" && wanted) this.answering.add(name);
    else if (direction === "IN") this.answering.delete(name);
    return wanted;
  }
  isBelow(path, domid, top) {
    const relative = !isAbsolutePath(path) && !path.startsWith("@");
    return isAtOrBelow(relative ? `/local/domain/${domid}/${path}` : path, top);
  }
};
async function askAgain(question) {
  for (; ; ) {
    try {
      return await question();
    } catch (error) {
      if (errorCode(error) !== "ECONNRESET") throw error;
    }
  }
}
async function ask(store, from) {
  const reply = await askAgain(() => store.control("trace", ...from === void 0 ? [] : [from]));
  const [head = "", ...lines] = reply.split("\n");
  const [, next, lost] = /^trace (\d+) (\d+)$/.exec(head) ?? [];
  if (next === void 0) throw new Error("this xenstored has no trace to ask for");
  return { next, lost: Number(lost), lines: lines.slice(0, -1) };
}
async function follow(store, commands, options) {
  const selection = new TraceSelection(options);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  for (let part = await ask(store, void 0); left > 0; part = await ask(store, part.next)) {
    if (part.lost > 0) commands.terminal.error(`paravane: ${part.lost} lines were lost
`);
    for (const line2 of part.lines) {
      if (left === 0 || !selection.wants(line2)) continue;
      commands.line(line2);
      left--;
    }
    if (part.lines.length === 0) await sleep2(PAUSE_MS);
  }
}
function addTraceCommand(commands) {
  commands.add("trace", "print what xenstored is asked and what it answers, as it happens", [
    "paravane trace --domid 3",
    "paravane trace --path /local/domain/0/backend"
  ]).option(
    "--domid <domid>",
    "only the requests, replies and events of this domain",
    wholeNumber(0)
  ).option("--path <path>", `only what is at or below it: ${PATH_HELP}`, parsePath).option("-n, --count <lines>", "end after so many lines", wholeNumber(1)).action(async (options) => {
    await commands.follow(options, (store) => follow(store, commands, options));
  });
}

// src/dom0/vchan-command.ts
var RING_SIZE = 16384;
var CONNECTIONS = 128;
var TARGETS = `
TARGET is what the bytes come from and go to:
  -                 standard input and output of this command; it ends with the connection
  PATH              a Unix socket
  tcp:[HOST:]PORT   TCP, on this machine unless a host is given
  NUMBER            an open descriptor

PORT is a number or a name that both ends agree on, for the keys in
/local/domain/<server>/data/vchan/<client>/<port>. One that contains a slash is
taken for the path of the keys itself, as vchan-socket-proxy has it.
`;
function parseTarget(argument) {
  if (argument === "-") return void 0;
  try {
    return parseVchanTarget(argument);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}
function parsePort(argument) {
  if (argument === "" || argument.endsWith("/")) {
    throw new InvalidArgumentError("it is a number, a name or a path.");
  }
  return argument;
}
function ringSize(argument) {
  const size = wholeNumber(0)(argument);
  if (size > VCHAN_RING_MAX) {
    throw new InvalidArgumentError(`a ring has at most ${VCHAN_RING_MAX} bytes.`);
  }
  return size;
}
function addEnd(vchan, role, summary) {
  return vchan.command(role).summary(summary).description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`).argument("<domain>", "the other domain, by number or name").argument("<port>", "a number, a name or a path", parsePort).argument("[target]", "see below", parseTarget).option("-s, --state-path <path>", 'write "running" to this node of xenstore once it serves').option("-v, --verbose", "say when connections begin and end").option("--socket <file>", "xenstored's socket or device, instead of the usual one").addHelpText("after", TARGETS).action(
    async (domain, port, target, options) => {
      const [{ runVchan }, { nodeLog }] = await Promise.all([
        import("./chunks/run-vchan-EQDJQDFO.js"),
        import("./chunks/log-M7CPNXBR.js")
      ]);
      const log = nodeLog({ level: options.verbose === true ? "debug" : "info", format: "text" });
      const settings = {
        ...{ role, domain, port, target },
        receive_min: options.receiveSize ?? RING_SIZE,
        send_min: options.sendSize ?? RING_SIZE,
        connections_max: options.connections ?? CONNECTIONS,
        statePath: options.statePath
      };
      await runVchan(settings, options.socket, log);
    }
  );
}
function addVchanCommand(program2) {
  const vchan = program2.command("vchan").summary("bridge byte streams between domains").description("Bridge byte streams between domains, as vchan-socket-proxy does.").enablePositionalOptions();
  addEnd(vchan, "listen", "offer a vchan and connect each client of it to a target").option("--receive-size <bytes>", "what the ring from the client holds at least", ringSize).option("--send-size <bytes>", "what the ring to the client holds at least", ringSize).option(
    "--connections <count>",
    `clients at once, ${CONNECTIONS} if not given`,
    wholeNumber(1)
  );
  addEnd(vchan, "connect", "listen at a target and connect each client of it to a vchan");
}

// src/dom0/program.ts
var HELP_AFTER = `
Values are shown and typed as by the xenstore-* commands: printable ASCII as it
stands, other bytes as \\t \\n \\r \\\\ \\ooo \\xhh.

Exit codes:
  ${EXIT_OK}  all went well
  ${EXIT_FAILED}  the operation failed, and stderr says why; for exists: a node is missing
  ${EXIT_USAGE}  the command line makes no sense

Environment:
  XENSTORED_PATH    xenstored's socket
  XENSTORED_RUNDIR  the directory of the socket, /run/xenstored if not set

Examples:
  paravane ls -f /local/domain/1
  paravane write /tool/greeting hello
  paravane watch -n 2 @releaseDomain
  paravane block attach guest /srv/data.img
  paravane read --help
`;
async function runProgram(args, services2, terminal) {
  let exitCode = EXIT_OK;
  const program2 = new Command("paravane").description("Xen's paravirtual userland: look into xenstore, and run the host's services.").version(package_default.version, "--version", "print the version").helpOption("-h, --help", "show this help").addHelpText("after", HELP_AFTER).enablePositionalOptions().exitOverride().configureOutput({
    writeOut: (text) => terminal.out(text),
    writeErr: (text) => terminal.error(text),
    outputError: (text, write) => write(text.replace(/^error: /, "paravane: "))
  });
  const setExitCode = (code) => {
    exitCode = code;
  };
  const commands = new StoreCommands(program2, terminal, setExitCode);
  addReadingCommands(commands);
  addWritingCommands(commands);
  addTraceCommand(commands);
  addTopCommand(commands);
  addVchanCommand(program2);
  addBlockCommand(program2, terminal, setExitCode);
  addConsoleCommands(commands);
  addRunCommand(program2, services2);
  addBuildCommand(program2, terminal);
  addNewCommand(program2, terminal);
  addSimCommand(program2, terminal, setExitCode);
  try {
    await program2.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    terminal.error(`paravane: ${errorMessage(error)}
`);
    return EXIT_FAILED;
  }
}

// src/dom0/run-blkback.ts
function parseFeatures(argument) {
  return argument.split(",").map((name) => {
    const feature = BLOCK_FEATURES.find((known) => known === name);
    if (feature !== void 0) return feature;
    throw new InvalidArgumentError(`${name} is none of ${BLOCK_FEATURES.join(", ")}.`);
  });
}
var blkbackService = {
  name: "blkback",
  summary: "serve files, block devices and network disks to guests as disks",
  addOptions(command) {
    command.option("--socket <file>", "xenstored's socket or device, instead of the usual one").option("--type <name>", "the devices to serve, by their directory below backend/", "vbd").option(
      "--without <features>",
      `what guests are not offered, by commas: ${BLOCK_FEATURES.join(", ")}`,
      parseFeatures,
      []
    ).option(
      "--driver-domain",
      "serve from a domain that is not the toolstack's: no hotplug scripts, and tidy up after devices"
    ).addHelpText(
      "after",
      `
A disk line for a guest's configuration, with the hotplug script of this package:
  disk = [ 'format=raw,vdev=xvda,access=rw,script=/path/to/scripts/hotplug/paravane-block,target=/path/to/disk.img' ]
Instead of a path: nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH for a disk that an NBD server
has, such as qemu-nbd a qcow2 file; vbd:NUMBER for a disk that another domain serves to this one.
`
    );
  },
  async start(options, log) {
    const { openBlkback } = await import("./chunks/dom0-GBUMC2WL.js");
    const { type, without, driverDomain = false, socket } = options;
    return openBlkback({ type, without, driverDomain, xenstoreSocket: socket }, log);
  }
};

// src/dom0/run-driver-domain.ts
var driverDomainService = {
  name: "driver-domain",
  summary: "keep a driver domain there: make it again whenever it ends, with what it served",
  addOptions(command) {
    command.requiredOption("-c, --config <file>", "the domain's configuration for xl").option("--socket <file>", "xenstored's socket or device, instead of the usual one").addHelpText(
      "after",
      `
Makes the domain where there is none of its name. When it has crashed, rebooted or was destroyed, it is
made again under the same domid, and the guests that it served go on where they waited; xl itself would
give it another domid, to which they have granted nothing. Only "xl shutdown" ends it for good. In its
configuration on_crash and on_reboot count for a domain that xl has made, and must be "destroy" then.

Examples:
  paravane build blkback -o blkback.elf >blkback.cfg
  paravane run driver-domain --config blkback.cfg --daemon
  disk = [ 'format=raw,vdev=xvda,access=rw,backend=blkback,target=vbd:51712' ]    a guest's disk
`
    );
  },
  async start(options, log) {
    const { openDriverDomain } = await import("./chunks/open-T3VFIUTT.js");
    return openDriverDomain({ config: options.config, xenstore: options.socket }, log);
  }
};

// src/dom0/run-xenconsoled.ts
var CHOICES = ["none", "guest", "hv", "all"];
var xenconsoledService = {
  name: "xenconsoled",
  summary: "serve the console of every guest, on a pty and in a log",
  addOptions(command) {
    command.version(package_default.version, "-V, --version", "print the version").option("--socket <file>", "xenstored's socket or device, instead of the usual one").option("-i, --interactive", "stay in the foreground, which is what it does without --daemon").addOption(
      new Option("--log <which>", "whose output is logged").choices(CHOICES).default("none")
    ).option("--log-dir <directory>", "where the logs are", "/var/log/xen/console").addOption(
      new Option("-t, --timestamp <which>", "in whose logs lines begin with the time").choices(CHOICES).default("none")
    ).addOption(
      new Option("-o, --overflow-data <what>", "output beyond the limit that nobody reads").choices(["discard", "keep"]).default("discard")
    ).option("--replace-escape", "in the logs, ESC becomes a dot").option("-v, --verbose", "log all that happens").addOption(
      new Option("--console-log-format <format>", "text as it is, or JSON, one object a line").choices(["text", "json"]).default("text")
    ).option("--rotate-size <bytes>", "put a log aside that has grown so large: 10M", byteCount, 0).option("--rotate-age <time>", "put a log aside that is so old: 12h, 7d", timeSpan, 0).option("--rotate-keep <number>", "old logs to keep of each", wholeNumber(1), 5).option("--rotate-compress", "compress old logs with gzip").option("--viewer-socket <file>", "where `paravane console` connects to", VIEWER_SOCKET).option(
      "--state-dir <directory>",
      "where notes for the next daemon are",
      "/run/paravane/xenconsoled"
    ).addHelpText(
      "after",
      `
Examples:
  paravane run xenconsoled --daemon --log all --pid-file /run/xenconsoled.pid
  paravane run xenconsoled --log guest --rotate-size 10M --rotate-keep 3 --rotate-compress
  xl console GUEST        (leave it with Ctrl-])
  paravane console GUEST  (several at once, with what was printed before)
`
    );
  },
  async start(options, log) {
    const { openXenconsoled } = await import("./chunks/dom0-CPKB2JHE.js");
    return openXenconsoled(
      {
        logDirectory: options.logDir,
        log: options.log,
        timestamp: options.timestamp,
        logFormat: options.consoleLogFormat,
        replaceEscape: options.replaceEscape === true,
        overflow: options.overflowData,
        rotation: {
          size_bytes: options.rotateSize,
          age_ms: options.rotateAge,
          keep: options.rotateKeep,
          compress: options.rotateCompress === true
        },
        stateDirectory: options.stateDir,
        viewerSocket: options.viewerSocket,
        xenstoreSocket: options.socket
      },
      log
    );
  }
};

// src/dom0/run-xenstored.ts
var QUOTA_OPTIONS = [
  ["-E, --entry-nb <number>", "nodes", "nodes that a domain may own"],
  ["-S, --entry-size <bytes>", "nodeSize", "size of a node"],
  ["-W, --watch-nb <number>", "watches", "watches that a domain may set"],
  ["-t, --transaction <number>", "transactions", "transactions that a domain may have open"],
  ["-A, --perm-nb <number>", "permissions", "entries in the permission list of a node"],
  ["-M, --path-max <bytes>", "pathLength", "length of a path"]
];
function optionKey(flags) {
  const long = /--([a-z-]+)/.exec(flags)?.[1] ?? "";
  return long.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
}
function quotasOf(options) {
  const quotas = { ...DEFAULT_QUOTAS };
  for (const [flags, quota] of QUOTA_OPTIONS) {
    const value = options[optionKey(flags)];
    if (value !== void 0) quotas[quota] = value;
  }
  const named = (values = {}, known) => {
    for (const { name, quota } of known) quotas[quota] = values[name] ?? quotas[quota];
  };
  named(options.quota, HARD_QUOTAS);
  named(options.quotaSoft, SOFT_QUOTAS);
  return quotas;
}
var JOURNAL = "/run/xenstored/journal";
var DURABLE_JOURNAL = "/var/lib/xenstored/journal";
function journalOf(options) {
  const durable = options.durable === true;
  const serves = options.domainInit === true || durable;
  const usual = durable ? DURABLE_JOURNAL : JOURNAL;
  const path = options.journal ?? (serves ? usual : "none");
  return path === "none" ? void 0 : { path, durable };
}
function xenstoredOptions(options) {
  const timeouts = options.timeout;
  const watchEvent_s = timeouts?.["watch-event"];
  return {
    quotas: quotasOf(options),
    ...options.keepOrphans === true ? { keepOrphans: true } : {},
    ...options.masterDomid === void 0 ? {} : { masterDomid: options.masterDomid },
    ...options.privDomid === void 0 ? {} : { privDomid: options.privDomid },
    ...watchEvent_s === void 0 ? {} : { watchEventTimeout_ms: watchEvent_s * 1e3 }
  };
}
var names = (quotas) => quotas.map(({ name }) => name);
var xenstoredService = {
  name: "xenstored",
  summary: "serve xenstore to dom0 and to every guest",
  addOptions(command) {
    command.option("--socket <file>", "where clients connect, instead of the usual path").option("-D, --no-domain-init", "serve the socket alone: no Xen and no root are needed").option("-N, --no-fork", "stay in the foreground, which is what it does without --daemon").option("-T, --trace-file <file>", "write every request and reply to this file");
    command.option(
      "--journal <file>",
      `what a killed xenstored goes on from, or "none" (${JOURNAL}; with -D none)`
    ).option(
      "--durable",
      `every change waits for the disk, so that it outlives a loss of power, too; the journal is ${DURABLE_JOURNAL} then`
    );
    command.option("-U, --live-update", "go on with what the program left that was this process before").option("--rehearse", "with -U: say whether that can be taken up, and leave it there");
    for (const [flags, quota, what] of QUOTA_OPTIONS) {
      command.option(flags, `limit: ${what} (${DEFAULT_QUOTAS[quota]})`, wholeNumber(1));
    }
    command.option(
      "-Q, --quota <what=number>",
      `set a limit: ${names(HARD_QUOTAS).join(", ")}`,
      namedNumbers(names(HARD_QUOTAS))
    ).option(
      "-q, --quota-soft <what=number>",
      `warn above a limit: ${names(SOFT_QUOTAS).join(", ")}`,
      namedNumbers(names(SOFT_QUOTAS))
    ).option(
      "-w, --timeout <what=seconds>",
      "how long a watch-event waits for a guest to take it, 0 for ever",
      namedNumbers(["watch-event"])
    ).option("-K, --keep-orphans", "keep the nodes of a domain that is gone; a security risk").option("-V, --verbose", "the same as --log-level debug").option(
      "--event <port>",
      "dom0's event channel, instead of the one its kernel names",
      wholeNumber(1)
    ).option(
      "--master-domid <domid>",
      "the domain whose kernel is served without INTRODUCE",
      wholeNumber(0)
    ).option(
      "--priv-domid <domid>",
      "a domain besides dom0 that no permission holds for",
      wholeNumber(0)
    ).addHelpText(
      "after",
      `
After an end of whatever kind the next xenstored takes up the journal: nodes, watches, what guests
were owed, and the limits, instead of those given here. Sockets end; the rings of guests do not.

Examples:
  paravane run xenstored --daemon --pid-file /run/xenstored.pid
  paravane run xenstored --no-domain-init --socket /tmp/xenstored.socket
  XENSTORED_PATH=/tmp/xenstored.socket xenstore-ls
`
    );
  },
  goesOn: (options) => options.liveUpdate === true,
  async rehearse(options, log) {
    if (options.rehearse !== true) return false;
    const { rehearseTakeOver } = await import("./chunks/takeover-5I5OFQIH.js");
    rehearseTakeOver({ ...DEFAULT_OPTIONS, ...xenstoredOptions(options) }, log);
    return true;
  },
  async start(options, log) {
    const { keepHeapSmall } = await import("./chunks/heap-YZYC7COX.js");
    keepHeapSmall();
    const { openXenstored } = await import("./chunks/dom0-IKX5Q2IM.js");
    const { xenstoreSocketPath } = await import("./chunks/xenstore-socket-52OHNHM5.js");
    return openXenstored(
      {
        socket: options.socket ?? xenstoreSocketPath(),
        domains: options.domainInit,
        kernelPort: options.event,
        traceFile: options.traceFile,
        journal: journalOf(options),
        takeOver: options.liveUpdate === true,
        pidFile: options.pidFile,
        options: xenstoredOptions(options)
      },
      log
    );
  }
};

// src/dom0/services.ts
var services = [
  xenstoredService,
  xenconsoledService,
  blkbackService,
  driverDomainService
];

// src/dom0/terminal.ts
var WIDTH_WITHOUT_TERMINAL = 80;
var processTerminal = {
  // Two columns less than there are, as xenstore-ls has it.
  width: process.stdout.isTTY ? process.stdout.columns - 2 : WIDTH_WITHOUT_TERMINAL,
  out: (text) => {
    process.stdout.write(text, "latin1");
  },
  error: (text) => {
    process.stderr.write(text);
  }
};

// src/dom0/paravane.ts
process.stdout.on("error", (error) => {
  if (errorCode(error) === "EPIPE") process.exit(EXIT_FAILED);
  throw error;
});
process.exitCode = await runProgram(process.argv.slice(2), services, processTerminal);
//# sourceMappingURL=paravane.js.map
