#' Conditions signalled by the package
#'
#' Every error, warning and message of the package is made in one place and carries a class, so
#' that a program can tell one cause from another without reading text that may change. The text
#' says what failed (`x`), why (`i`) and what to do (`>`), and names the variable, the level or the
#' rows at fault.
#'
#' An error has the classes `partialpool_error_<topic>` and `partialpool_error`; a warning
#' `partialpool_warning_<topic>` and `partialpool_warning`; a message
#' `partialpool_message_<topic>` and `partialpool_message`. The condition's field `topic` holds the
#' topic too. The topics are:
#'
#' | topic | what it is about |
#' |---|---|
#' | `formula` | the formula cannot be read: no response, missing parentheses around a bar |
#' | `data` | the data cannot be used as a whole: not a data frame, no complete row left |
#' | `variable` | a variable is not there, has the wrong length, type or an infinite value |
#' | `family` | the family: missing, unknown, without that link, without a likelihood |
#' | `response` | the response is not of the kind that the model needs, is constant or not finite |
#' | `group` | a grouping factor: one level, as many levels as rows, a column of measurements |
#' | `random` | a random-effects term: no column, unknown covariance structure, duplicates |
#' | `prior` | the prior of the fixed effects |
#' | `weights`, `offset` | prior weights, offset: wrong length or type, negative, not finite |
#' | `missing` | missing values: rows left out, or where they cannot be |
#' | `argument` | an argument of a function: unknown name, value out of range |
#' | `rank` | linearly dependent columns of the fixed effects, dropped or too many |
#' | `identifiability` | the data cannot tell two parameters of the model apart |
#' | `scale` | numbers on very different scales, accuracy lost |
#' | `start` | starting values |
#' | `fit` | the optimisation or the value of the criterion |
#' | `separation` | estimates that are infinite: responses told apart without an error |
#' | `laplace` | the Laplace approximation may be poor |
#' | `singular` | an estimated covariance matrix is singular: a result, reported by name |
#' | `newdata` | prediction for new data: unknown levels, missing variables |
#' | `kernel` | a kernel: no covariance matrix, of another size, without the samples of the data |
#' | `markers` | the markers of a scan |
#' | `ep` | expectation propagation has not found its fixed point |
#'
#' Advisory warnings about a design (`group`, `identifiability`, `random`, `scale`) and notes about
#' a fit (`singular`, `separation`, `laplace`) can be turned off for one fit by
#' `control = pp_control(check = FALSE)`.
#'
#' @name partialpool-conditions
#' @seealso [pp_control()]
#' @examples
#' tryCatch(
#'   design(Reaction ~ Days + 1 | Subject, sleepstudy),
#'   partialpool_error_formula = function(e) cat(conditionMessage(e), "\n")
#' )
NULL

# `message` is a character vector with cli markup; its names "x", "i", ">" are the bullets. What
# stands in braces is evaluated in `.envir`. Further arguments become fields of the condition.
pp_abort <- function(topic, message, call = user_frame(), .envir = parent.frame(), ...) {
  message <- format_bullets(message, .envir)
  rlang::abort(
    message,
    class = condition_class("error", topic), topic = topic, ...,
    call = call, use_cli_format = TRUE, .frame = .envir
  )
}

pp_warn <- function(topic, message, .envir = parent.frame(), ...) {
  message <- format_bullets(message, .envir)
  rlang::warn(
    message, class = condition_class("warning", topic), topic = topic, ..., use_cli_format = TRUE
  )
}

pp_inform <- function(topic, message, .envir = parent.frame(), ...) {
  message <- format_bullets(message, .envir)
  rlang::inform(
    message, class = condition_class("message", topic), topic = topic, ..., use_cli_format = TRUE
  )
}

# A message of one sentence, for loops of many refits, where formatting would take longer than they.
inform_plainly <- function(topic, text) {
  text <- paste(cli::symbol$info, text)
  text <- paste(strwrap(text, getOption("width"), exdent = 2L), collapse = "\n")
  class <- c(condition_class("message", topic), "message", "condition")
  message(structure(list(message = paste0(text, "\n"), call = NULL), class = class))
}

condition_class <- function(kind, topic) {
  paste0("partialpool_", kind, c(paste0("_", topic), ""))
}

format_bullets <- function(message, .envir) {
  message[] <- vapply(message, cli::format_inline, "", .envir = .envir)
  message
}

# The frame of the package's function that the user called: the header of an error names that one,
# not the internal check that found the fault.
user_frame <- function() {
  namespace <- topenv()
  for (i in seq_len(sys.nframe())) {
    home <- environment(sys.function(i))
    if (!is.null(home) && identical(topenv(home), namespace)) {
      return(sys.frame(i))
    }
  }
  NULL
}

# One row, or the first few of many: "row 7", "rows 3, 9, 12 and 40 more".
describe_rows <- function(rows, most = 5L) {
  shown <- paste(utils::head(rows, most), collapse = ", ")
  more <- length(rows) - most
  paste0(
    if (length(rows) == 1L) "row " else "rows ", shown, if (more > 0L) paste(" and", more, "more")
  )
}

# The nearest of `known` to a misspelt name, as a bullet, or nothing.
suggest_name <- function(name, known) {
  known <- known[nzchar(known)]
  if (!length(known)) {
    return(NULL)
  }
  distance <- utils::adist(name, known, ignore.case = TRUE)[1L, ]
  if (min(distance) > max(1, nchar(name) / 3)) {
    return(NULL)
  }
  c(">" = paste0("Did you mean `", escape_braces(known[which.min(distance)]), "`?"))
}

# Text that pp_abort() and its sisters will not interpolate.
escape_braces <- function(text) gsub("}", "}}", gsub("{", "{{", text, fixed = TRUE), fixed = TRUE)
