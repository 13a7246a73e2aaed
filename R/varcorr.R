# Covariance matrices of the random effects.

#' @importFrom nlme VarCorr
#' @export
nlme::VarCorr

#' Variances and correlations of the random effects
#'
#' The estimated covariance matrix of each random-effects term and, where the family is gaussian,
#' the residual standard deviation, with lme4's names, order and numbers. With a kernel `K` the
#' covariance of the effects of the levels i and j is `K[i, j]` times the matrix.
#'
#' @param x A fit, as [lmm()] or [glmm()] returns it, or a result of `VarCorr()`.
#' @param sigma Residual standard deviation that scales the matrices. Default that of the fit; 1 for
#'   [glmm()], where they are on the scale of the link as they stand.
#' @param comp What to print: `"Variance"`, `"Std.Dev."` or both.
#' @param digits Significant digits to print.
#' @param order `"cov.last"` (default) puts the variances of a term before its covariances;
#'   `"lower.tri"` follows the lower triangle by columns.
#' @param row.names,optional Not used; part of the generic.
#' @param ... Not used; anything given to `VarCorr()` here is an error.
#' @return A list of class `"VarCorr.pp_fit"` with one covariance matrix per term, each with the
#'   attributes `"stddev"` and `"correlation"`; the attribute `"sc"` of the list is the residual
#'   standard deviation, `"useSc"` whether there is one. `as.data.frame()` gives the columns `grp`,
#'   `var1`, `var2`, `vcov` (variance or covariance) and `sdcor` (standard deviation or
#'   correlation). A term with a diagonal covariance has no rows for covariances there.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' VarCorr(fit)
#' as.data.frame(VarCorr(fit))
#' @export
VarCorr.pp_fit <- function(x, sigma = 1, ...) {
  reject_dots(...)
  if (missing(sigma)) sigma <- random_scale(x)
  matrices <- lapply(seq_along(x$random), function(t) {
    covariance_matrix(sigma * x$Lambda[[t]], x$random[[t]])
  })
  names(matrices) <- vapply(x$random, function(term) term$name, "")
  residual <- has_residual(x)
  # The factors of a glmm are absolute: its residual is not what scales them.
  sc <- if (!residual) 1 else if (inherits(x, "pp_glmm")) sigma * x$sigma else sigma
  structure(matrices, sc = sc, useSc = residual, class = "VarCorr.pp_fit")
}

# Is there a residual with a variance of its own? Not in a family whose mean determines it, nor
# where it differs between rows.
has_residual <- function(fit) {
  !inherits(fit, "pp_glmm") || fit$family$family == "gaussian" && !is.na(fit$sigma)
}

covariance_matrix <- function(factor, term) {
  value <- tcrossprod(factor)
  # Not from the variances: the square of a number in extreme units may not exist.
  largest <- apply(abs(factor), 1L, max)
  rows <- factor / largest
  norms <- sqrt(rowSums(rows^2))
  sd <- ifelse(largest > 0, largest * norms, 0)
  correlation <- tcrossprod(rows / norms)
  diag(correlation) <- 1
  dimnames(value) <- dimnames(correlation) <- list(term$columns, term$columns)
  structure(value,
    stddev = stats::setNames(sd, term$columns), correlation = correlation,
    structure = term$structure, hom = isTRUE(term$hom), kernel = if (has_kernel(term)) TRUE
  )
}

#' @rdname VarCorr.pp_fit
#' @export
print.VarCorr.pp_fit <- function(x, digits = max(3L, getOption("digits") - 2L),
                                 comp = "Std.Dev.", ...) {
  print_varcorr(x, digits, comp)
  invisible(x)
}

#' @rdname VarCorr.pp_fit
#' @export
as.data.frame.VarCorr.pp_fit <- function(x, row.names = NULL, optional = FALSE,
                                         order = c("cov.last", "lower.tri"), ...) {
  order <- choose_option(order, c("cov.last", "lower.tri"), "order")
  tables <- Map(varcorr_rows, x, names(x), order)
  residual <- if (attr(x, "useSc")) {
    data.frame(
      grp = "Residual", var1 = NA_character_, var2 = NA_character_,
      vcov = attr(x, "sc")^2, sdcor = attr(x, "sc")
    )
  }
  table <- do.call(rbind, c(unname(tables), list(residual)))
  row.names(table) <- NULL
  table
}

varcorr_rows <- function(v, group, order) {
  p <- nrow(v)
  cells <- which(lower.tri(v, diag = TRUE), arr.ind = TRUE)
  if (identical(attr(v, "structure"), "diag")) cells <- cbind(seq_len(p), seq_len(p))
  on_diagonal <- cells[, 1L] == cells[, 2L]
  if (order == "cov.last") {
    cells <- cells[order(!on_diagonal), , drop = FALSE]
    on_diagonal <- sort(on_diagonal, decreasing = TRUE)
  }
  labels <- rownames(v)
  sd_or_cor <- attr(v, "correlation")
  diag(sd_or_cor) <- attr(v, "stddev")
  data.frame(
    grp = group,
    var1 = labels[cells[, 2L]],
    var2 = ifelse(on_diagonal, NA_character_, labels[cells[, 1L]]),
    vcov = v[cells],
    sdcor = sd_or_cor[cells]
  )
}

# The table as lme4 prints it. When the correlations make it wider than the page, they follow below.
print_varcorr <- function(x, digits, comp) {
  shown <- choose_components(comp)
  rows <- lapply(names(x), function(group) varcorr_lines(x[[group]], group))
  if (attr(x, "useSc")) {
    rows <- c(rows, list(list(group = "Residual", name = "", sd = attr(x, "sc"))))
  }
  sd <- unlist(lapply(rows, function(r) r$sd))
  body <- cbind(
    Groups = unlist(lapply(rows, function(r) r$group)),
    Name = unlist(lapply(rows, function(r) r$name))
  )
  if ("Variance" %in% shown) body <- cbind(body, Variance = format_jointly(sd^2, digits))
  if ("Std.Dev." %in% shown) body <- cbind(body, Std.Dev. = format_jointly(sd, digits))
  correlations <- correlation_columns(rows, max(2L, digits - 2L))
  rownames(body) <- rep("", nrow(body))
  whole <- cbind(body, correlations)
  if (table_width(whole) <= getOption("width")) {
    return(print(whole, quote = FALSE))
  }
  print(body, quote = FALSE)
  for (group in names(x)) print_correlations(x[[group]], group)
}

choose_components <- function(comp) {
  known <- c("Variance", "Std.Dev.")
  found <- pmatch(comp, known)
  if (length(comp) == 0L || anyNA(found)) {
    pp_abort("argument", c(
      x = "{.arg comp} must hold {.val Variance}, {.val Std.Dev.} or both.",
      i = "It is {.val {comp}}."
    ))
  }
  known[found]
}

# What one term contributes: a line per column, or one line when all columns share a variance;
# structured terms have one correlation parameter, shown once.
varcorr_lines <- function(v, group) {
  columns <- rownames(v)
  p <- length(columns)
  sd <- attr(v, "stddev")
  structure <- attr(v, "structure")
  structured <- structure %in% c("cs", "ar1")
  corr <- if (p > 1L && !structured && structure != "diag") attr(v, "correlation")
  rho <- if (p > 1L && structured) attr(v, "correlation")[2L, 1L]
  if (attr(v, "hom") && p > 1L) {
    columns <- paste0(columns[1L], "..", columns[p])
    sd <- sd[1L]
    p <- 1L
  }
  list(
    group = c(if (isTRUE(attr(v, "kernel"))) paste(group, "(kernel)") else group, rep("", p - 1L)),
    name = columns, sd = sd, corr = corr,
    rho = rho, structure = structure
  )
}

correlation_columns <- function(rows, digits) {
  widest <- max(0L, unlist(lapply(rows, function(r) {
    if (!is.null(r$corr)) ncol(r$corr) - 1L else if (!is.null(r$rho)) 1L else 0L
  })))
  if (widest == 0L) {
    return(NULL)
  }
  blocks <- lapply(rows, function(r) {
    block <- matrix("", length(r$name), widest)
    if (!is.null(r$rho)) {
      block[1L, 1L] <- sprintf("%s (%s)", format_correlation(r$rho, digits), r$structure)
    } else if (!is.null(r$corr)) {
      cells <- format_correlation(r$corr, digits)
      cells[!lower.tri(cells)] <- ""
      block[, seq_len(ncol(cells) - 1L)] <- cells[, -ncol(cells)]
    }
    block
  })
  all_rows <- do.call(rbind, blocks)
  colnames(all_rows) <- c("Corr", rep("", widest - 1L))
  all_rows
}

# The correlation with an effect that does not vary is not defined.
format_correlation <- function(r, digits) {
  r <- round(r, digits) + 0 # no "-0.00"
  cells <- formatC(r, digits = digits, format = "f")
  cells[is.nan(r)] <- "-"
  formatted <- formatC(cells, width = max(nchar(cells)))
  dim(formatted) <- dim(r)
  formatted
}

print_correlations <- function(v, group) {
  if (nrow(v) < 2L || !identical(attr(v, "structure"), "us")) {
    return(invisible())
  }
  cells <- format_correlation(attr(v, "correlation"), 2L)
  cells[!lower.tri(cells)] <- ""
  dimnames(cells) <- list(rownames(v), abbreviate(rownames(v), 5L))
  cat("Correlations of ", group, ":\n", sep = "")
  print(cells[-1L, -ncol(cells), drop = FALSE], quote = FALSE)
}

# One number of decimals for the column, unless the range asks for powers of ten.
format_jointly <- function(x, digits) {
  together <- format(x, digits = digits)
  if (!any(grepl("e", together, fixed = TRUE))) {
    return(together)
  }
  format(formatC(x, digits = digits, format = "g"), justify = "right")
}

table_width <- function(cells) {
  widths <- apply(rbind(colnames(cells), cells), 2L, function(column) max(nchar(column, "width")))
  sum(widths + 1L)
}
