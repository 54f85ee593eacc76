// Readiness of any file descriptor, told by the event loop.
#include <uv.h>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

class Poller;

// The part that libuv knows. It lives until libuv has let go of it, which is after the Poller's own
// end: by close(), by the garbage collector, or by the end of the environment.
struct Watch {
  uv_poll_t poll;
  Poller *poller;
  napi_async_cleanup_hook_handle hook;
};

// new Poller(fd, callback): calls callback(events) with READABLE and WRITABLE bits, or with a
// negative errno, after which polling has stopped until start() is called again.
class Poller : public Napi::ObjectWrap<Poller> {
 public:
  explicit Poller(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Poller>(info) {
    Napi::Env env = info.Env();
    const uint32_t fd = integerArgument(info, 0, "fd", INT32_MAX);
    if (!info[1].IsFunction()) throw Napi::TypeError::New(env, "callback must be a function");
    uv_loop_t *loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
      throw Napi::Error::New(env, "this environment has no event loop");
    }
    auto watch = std::make_unique<Watch>();
    const int error = uv_poll_init(loop, &watch->poll, static_cast<int>(fd));
    if (error != 0) throwSystemError(env, -error, "uv_poll_init");
    callback_ = Napi::Persistent(info[1].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "Poller");
    watch_ = watch.release();
    watch_->poller = this;
    watch_->poll.data = watch_;
    napi_add_async_cleanup_hook(env, onEnvironmentEnd, watch_, &watch_->hook);
  }

  ~Poller() override {
    if (watch_ != nullptr) endWatch();
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Poller",
                       {InstanceMethod<&Poller::start>("start"),
                        InstanceMethod<&Poller::stop>("stop"), InstanceMethod<&Poller::ref>("ref"),
                        InstanceMethod<&Poller::unref>("unref"),
                        InstanceMethod<&Poller::close>("close")});
  }

 private:
  // start(events): asks for READABLE, WRITABLE or both, in place of what was asked for before.
  void start(const Napi::CallbackInfo &info) {
    const uint32_t events =
        integerArgument(info, 0, "events", UV_READABLE | UV_WRITABLE, UV_READABLE);
    const int error = uv_poll_start(&openWatch(info)->poll, static_cast<int>(events), onPoll);
    if (error != 0) throwSystemError(info.Env(), -error, "uv_poll_start");
    // A poller at work is not collected, even when only its descriptor is still known.
    if (!active_) Ref();
    active_ = true;
  }

  void stop(const Napi::CallbackInfo &info) {
    uv_poll_stop(&openWatch(info)->poll);
    deactivate();
  }

  void ref(const Napi::CallbackInfo &info) { uv_ref(handleOf(openWatch(info))); }
  void unref(const Napi::CallbackInfo &info) { uv_unref(handleOf(openWatch(info))); }

  void close(const Napi::CallbackInfo &) {
    if (watch_ == nullptr) return;
    endWatch();
    deactivate();
  }

  static uv_handle_t *handleOf(Watch *watch) {
    return reinterpret_cast<uv_handle_t *>(&watch->poll);
  }

  Watch *openWatch(const Napi::CallbackInfo &info) {
    if (watch_ == nullptr) throw Napi::TypeError::New(info.Env(), "the poller is closed");
    return watch_;
  }

  void deactivate() {
    if (active_) Unref();
    active_ = false;
  }

  void endWatch() {
    watch_->poller = nullptr;
    uv_close(handleOf(watch_), onClosed);
    watch_ = nullptr;
  }

  static void onClosed(uv_handle_t *handle) {
    auto *watch = static_cast<Watch *>(handle->data);
    napi_remove_async_cleanup_hook(watch->hook);
    delete watch;
  }

  // The environment waits for onClosed, which removes the hook.
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle, void *data) {
    auto *watch = static_cast<Watch *>(data);
    if (watch->poller != nullptr) watch->poller->endWatch();
  }

  static void onPoll(uv_poll_t *poll, int status, int events) {
    Poller *poller = static_cast<Watch *>(poll->data)->poller;
    if (poller == nullptr) return;
    Napi::Env env = poller->Env();
    Napi::HandleScope scope(env);
    try {
      poller->callback_.MakeCallback(
          poller->Value(), {Napi::Number::New(env, status < 0 ? status : events)},
          *poller->context_);
    } catch (const Napi::Error &error) {
      napi_fatal_exception(env, error.Value());
    }
  }

  Watch *watch_ = nullptr;
  bool active_ = false;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
};

}  // namespace

void exportPoller(Napi::Env env, Napi::Object exports) {
  exports.Set("Poller", Poller::define(env));
  exports.Set("READABLE", Napi::Number::New(env, UV_READABLE));
  exports.Set("WRITABLE", Napi::Number::New(env, UV_WRITABLE));
}

}  // namespace paravane
