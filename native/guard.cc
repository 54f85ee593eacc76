#include "guard.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cmath>
#include <cstring>

namespace paravane {

// The largest integer that a number of JavaScript holds exactly; a file offset is larger still.
constexpr double kSafeIntegerMax = 9007199254740991.0;

uint32_t integerArgument(const Napi::CallbackInfo &info, size_t index, const char *name,
                         uint32_t max, uint32_t min) {
  if (!info[index].IsNumber()) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + " must be a number");
  }
  const double value = info[index].As<Napi::Number>().DoubleValue();
  // Written so that NaN fails it too.
  if (!(value >= min && value <= max) || value != std::floor(value)) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " must be an integer from " +
                                                std::to_string(min) + " to " +
                                                std::to_string(max));
  }
  return static_cast<uint32_t>(value);
}

std::optional<uint32_t> optionalIntegerArgument(const Napi::CallbackInfo &info, size_t index,
                                                const char *name, uint32_t max) {
  if (info[index].IsUndefined()) return std::nullopt;
  return integerArgument(info, index, name, max);
}

uint64_t offsetArgument(const Napi::CallbackInfo &info, size_t index, const char *name) {
  if (!info[index].IsNumber()) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + " must be a number");
  }
  const double value = info[index].As<Napi::Number>().DoubleValue();
  if (!(value >= 0 && value <= kSafeIntegerMax) || value != std::floor(value)) {
    throw Napi::RangeError::New(info.Env(),
                                std::string(name) + " must be an integer from 0 to 2^53 - 1");
  }
  return static_cast<uint64_t>(value);
}

bool booleanArgument(const Napi::CallbackInfo &info, size_t index, const char *name) {
  if (!info[index].IsBoolean()) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + " must be a boolean");
  }
  return info[index].As<Napi::Boolean>().Value();
}

void throwSystemError(Napi::Env env, int error, const char *syscall, const char *path) {
  const std::string code = uv_err_name(-error);
  std::string message = code + ": " + std::strerror(error) + ", " + syscall;
  if (path != nullptr) message += std::string(" '") + path + "'";
  Napi::Error exception = Napi::Error::New(env, message);
  exception.Set("code", Napi::String::New(env, code));
  exception.Set("errno", Napi::Number::New(env, -error));
  exception.Set("syscall", Napi::String::New(env, syscall));
  if (path != nullptr) exception.Set("path", Napi::String::New(env, path));
  throw exception;
}

Descriptor::~Descriptor() { close(fd_); }

std::shared_ptr<Descriptor> openDevice(Napi::Env env, const char *path, int extraFlags) {
  const int fd = open(path, O_RDWR | O_CLOEXEC | extraFlags);
  if (fd < 0) throwSystemError(env, errno, "open", path);
  return std::make_shared<Descriptor>(fd);
}

const Descriptor &openDescriptor(Napi::Env env, const std::shared_ptr<Descriptor> &descriptor) {
  if (!descriptor) throw Napi::TypeError::New(env, "the device is closed");
  return *descriptor;
}

}  // namespace paravane
