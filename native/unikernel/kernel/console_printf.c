#include <stdarg.h>

#include "console.h"

void console_print(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  console_write(text, length);
}

static void print_number(uint64_t value, unsigned base, unsigned digits_min) {
  char digits[20];
  unsigned at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0 || sizeof digits - at < digits_min);
  console_write(digits + at, sizeof digits - at);
}

void console_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  while (*format != 0) {
    size_t plain = 0;
    while (format[plain] != 0 && format[plain] != '%') plain++;
    if (plain > 0) console_write(format, plain);
    format += plain;
    if (*format == 0) break;
    switch (format[1]) {
      case 's': console_print(va_arg(arguments, const char *)); break;
      case 'd': print_number(va_arg(arguments, uint64_t), 10, 1); break;
      case 'x': print_number(va_arg(arguments, uint64_t), 16, 1); break;
      case 'p': print_number(va_arg(arguments, uint64_t), 16, 16); break;
    }
    format += 2;
  }
  va_end(arguments);
}
