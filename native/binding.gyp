{
  "targets": [
    {
      "target_name": "paravane_native",
      "sources": [
        "addon.cc",
        "guard.cc",
        "pages.cc",
        "poller.cc",
        "evtchn.cc",
        "gntdev.cc",
        "gntalloc.cc",
        "privcmd.cc",
        "process.cc",
        "pty.cc",
        "socket_set.cc",
        "unix_socket.cc",
        "file.cc",
        "file_queue.cc",
        "tap.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=gnu++20", "-fexceptions", "-Wall", "-Wextra"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++14"]
    },
    {
      "target_name": "create-domain",
      "type": "executable",
      "sources": ["toolstack/create-domain.c"],
      "cflags": ["-Wall", "-Wextra"],
      "libraries": ["-lxenlight", "-lxentoollog"]
    },
    {
      "target_name": "store-domain",
      "type": "executable",
      "sources": ["toolstack/store-domain.c", "toolstack/journal-domain.c"],
      "cflags": ["-Wall", "-Wextra"],
      "libraries": ["-lxenguest", "-lxenctrl", "-lxenforeignmemory", "-lxentoollog"]
    }
  ]
}
