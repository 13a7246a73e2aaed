# The page that a fit prints, in pieces that print() and summary() share.

#' @rdname summary.pp_lmm
#' @export
print.pp_fit <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat(model_title(x), "\n", sep = "")
  print_call(x)
  print_criterion(criterion_table(x))
  if (has_random(x)) {
    cat("\nRandom effects:\n")
    print_varcorr(VarCorr.pp_fit(x), digits, "Std.Dev.")
  }
  print_sizes(x$n, n_groups(x))
  print_distribution(x, digits)
  cat("\n")
  if (length(x$coefficients)) {
    cat("Fixed effects:\n")
    print.default(format(x$coefficients, digits = digits), print.gap = 2L, quote = FALSE)
  } else {
    cat("No fixed effects\n")
  }
  print_notes(x)
  invisible(x)
}

# What a kind of fit has of its own: its title, its criterion, and in print.pp_fit() the estimates
# besides the fixed and random effects.
model_title <- function(fit) UseMethod("model_title")
criterion_table <- function(fit) UseMethod("criterion_table")
print_distribution <- function(x, digits) UseMethod("print_distribution")

print_distribution.pp_lmm <- function(x, digits) invisible()

model_title.pp_lmm <- function(fit) {
  if (!has_random(fit)) {
    return("Linear model (no random effects)")
  }
  paste("Linear mixed model, fitted by", if (fit$REML) "REML" else "ML")
}

# Family, formula and the names of the arguments that made the fit; no data frame written out in
# full. `x` is a fit or its summary.
print_call <- function(x) {
  if (!is.null(x$family)) {
    print_labelled("Family", sprintf("%s (%s)", family_name(x$family), x$family$link))
  }
  print_labelled("Formula", formula_lines(deparse1(x$formula), getOption("width") - 10L))
  for (argument in c("ziformula", "dispformula")) {
    value <- x$call[[argument]]
    if (is.language(value)) print_labelled(argument, shorten(deparse1(value), 65L))
  }
  for (argument in c("data", "weights", "offset", "subset")) {
    value <- x$call[[argument]]
    if (is.language(value)) {
      label <- paste0(toupper(substring(argument, 1L, 1L)), substring(argument, 2L))
      print_labelled(label, shorten(deparse1(value), 65L))
    }
  }
  if (!is.null(x$prior)) {
    print_labelled("Prior", sprintf("normal on the fixed effects, sd %s", named_values(x$prior$sd)))
  }
}

named_values <- function(x) {
  labels <- if (is.null(names(x))) "" else ifelse(nzchar(names(x)), paste0(names(x), " = "), "")
  paste0(labels, vapply(x, format, ""), collapse = ", ")
}

print_labelled <- function(label, lines) {
  cat(formatC(paste0(label, ":"), width = 8L), " ", lines[1L], "\n", sep = "")
  for (line in lines[-1L]) cat(strrep(" ", 9L), line, "\n", sep = "")
}

# A long formula is broken between its terms.
formula_lines <- function(text, width) {
  characters <- strsplit(text, "")[[1L]]
  # Neither a bracket nor a sign within the backticks of a name counts.
  characters[cumsum(characters == "`") %% 2L == 1L] <- "`"
  depth <- cumsum((characters == "(") - (characters == ")"))
  plus <- which(characters %in% c("+", "-") & depth == 0L)
  pieces <- trimws(substring(text, c(1L, plus), c(plus - 1L, nchar(text))))
  lines <- pieces[1L]
  for (piece in pieces[-1L]) {
    last <- length(lines)
    if (nchar(lines[last]) + nchar(piece) + 1L <= width) {
      lines[last] <- paste(lines[last], piece)
    } else {
      lines <- c(lines, paste0("  ", piece))
    }
  }
  lines
}

shorten <- function(text, width) {
  if (nchar(text) > width) paste0(substring(text, 1L, width - 3L), "...") else text
}

# One number for a fit by REML, the information criteria for a fit by ML.
criterion_table.pp_lmm <- function(fit) {
  if (fit$REML) {
    return(c(REML = fit$criterion))
  }
  value <- logLik.pp_lmm(fit)
  c(
    AIC = stats::AIC(value), BIC = stats::BIC(value), logLik = as.numeric(value),
    deviance = fit$criterion, df.resid = fit$n - fit$df
  )
}

print_criterion <- function(table) {
  if (length(table) == 0L) {
    return(invisible())
  }
  if (length(table) == 1L) {
    cat("REML criterion: ", format(round(table, 1L), nsmall = 1L), "\n", sep = "")
    return(invisible())
  }
  cells <- format(round(table, 1L), nsmall = 1L)
  cells["df.resid"] <- format(table[["df.resid"]])
  print(cells, quote = FALSE)
}

print_sizes <- function(n, groups) {
  text <- paste0("Number of obs: ", n)
  if (length(groups)) {
    text <- paste0(text, ", groups: ", paste(names(groups), groups, sep = ", ", collapse = "; "))
  }
  cat(strwrap(text, width = getOption("width"), exdent = 2L), sep = "\n")
}

# What a reader has to know about the estimates: dropped columns, convergence, singularity.
print_notes <- function(x) {
  notes <- c(
    dropped_note(x$aliased), separation_note(x), convergence_note(x), singular_note(x)
  )
  if (length(notes)) {
    cat("\n")
    cat(strwrap(notes, width = getOption("width"), exdent = 2L), sep = "\n")
  }
}

dropped_note <- function(aliased) {
  if (length(aliased)) {
    paste0("Dropped (linear combinations of other columns): ", paste(aliased, collapse = ", "))
  }
}

convergence_note <- function(x) {
  convergence <- x$convergence
  converged <- identical(convergence$status, "converged")
  if (is.null(convergence$status) || length(x$random) == 0L && converged) {
    return(NULL)
  }
  if (!converged) {
    return(sprintf(
      "Not converged (%s): %d evaluations, Newton decrement %s", convergence$status,
      convergence$evaluations, format(convergence$decrement, digits = 1L)
    ))
  }
  decrement <- convergence$decrement
  decrement <- if (decrement < 1e-12) "below 1e-12" else format(decrement, digits = 1L)
  sprintf("Converged: %d evaluations, Newton decrement %s", convergence$evaluations, decrement)
}

singular_note <- function(x) {
  if (!isTRUE(x$convergence$singular)) {
    return(NULL)
  }
  paste0("Singular fit: ", describe_components(x$convergence$components))
}
