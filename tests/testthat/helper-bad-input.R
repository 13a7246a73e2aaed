# Tables of calls and what they must end in, for the tests of bad input.

# An entry: calls, and one of `error`, `warning`, `message` (the topic of the condition, "" for any)
# with the `text` it holds, or `value`, what must be true of the result.
ends <- function(row, ..., error = NULL, warning = NULL, message = NULL, text = NULL,
                 value = NULL) {
  list(
    row = row, calls = as.list(substitute(list(...)))[-1L], error = error, warning = warning,
    message = message, text = text, value = substitute(value)
  )
}

class_of <- function(kind, topic) {
  paste0("partialpool_", kind, if (nzchar(topic)) paste0("_", topic))
}

try_entry <- function(entry, env) {
  for (call in entry$calls) {
    info <- paste0(entry$row, ": ", label_of(call))
    signalled <- list()
    keep <- function(condition) signalled[[length(signalled) + 1L]] <<- condition
    result <- withCallingHandlers(
      tryCatch(eval(call, env), error = function(e) {
        keep(e)
        e
      }),
      warning = function(w) {
        keep(w)
        invokeRestart("muffleWarning")
      },
      message = function(m) {
        keep(m)
        invokeRestart("muffleMessage")
      }
    )
    kind <- intersect(c("error", "warning", "message"), names(Filter(Negate(is.null), entry)))
    if (length(kind)) {
      wanted <- class_of(kind, entry[[kind]])
      matching <- Filter(function(condition) {
        inherits(condition, wanted) &&
          (is.null(entry$text) || grepl(entry$text, flat_text(condition)))
      }, signalled)
      expect(length(matching) > 0L, paste0(
        info, "\nwanted ", wanted, " with \"", entry$text, "\"; got ", describe(signalled)
      ))
    }
    if (!identical(kind, "error")) {
      expect(!inherits(result, "error"), paste0(info, "\nfailed: ", describe(signalled)))
    }
    if (!length(kind)) {
      warned <- Filter(function(condition) inherits(condition, "warning"), signalled)
      expect(!length(warned), paste0(info, "\nwarned: ", describe(warned)))
    }
    if (!is.null(entry$value) && !inherits(result, "error")) {
      held <- eval(entry$value, list(x = result), env)
      expect(isTRUE(held), paste0(info, "\nnot TRUE: ", label_of(entry$value)))
    }
  }
}

# Lines are broken by the width of the console.
flat_text <- function(condition) gsub("[[:space:]]+", " ", conditionMessage(condition))

describe <- function(conditions) {
  if (!length(conditions)) {
    return("nothing")
  }
  paste(vapply(conditions, function(condition) {
    paste0("<", class(condition)[1], "> ", flat_text(condition))
  }, ""), collapse = "; ")
}

walk <- function(...) {
  env <- parent.frame()
  for (entry in list(...)) {
    test_that(entry$row, {
      try_entry(entry, env)
    })
  }
}
