# What knit_print() methods are made of: cells of tables as text, and the pieces of a report.

# Cells -------------------------------------------------------------------------------------------

coefficient_cells <- function(x, tests) coefficient_matrix_cells(x$coefficients, tests)

# Estimate, SE, then tests where they are wanted and there are any.
coefficient_matrix_cells <- function(table, tests) {
  cells <- data.frame(
    name = rownames(table), Estimate = number_cells(table[, 1L]), SE = number_cells(table[, 2L])
  )
  if (tests && ncol(table) > 2L && !all(is.na(table[, ncol(table)]))) {
    if ("df" %in% colnames(table)) cells$df <- df_cells(table[, "df"])
    statistic <- grep(" value$", colnames(table))
    cells[[sub(" value", "", colnames(table)[statistic], fixed = TRUE)]] <-
      fixed_cells(table[, statistic], 2L)
    cells$p <- p_cells(table[, ncol(table)])
  }
  names(cells)[1L] <- ""
  cells
}

parameter_cells <- function(table) {
  cells <- data.frame(
    name = rownames(table), Estimate = number_cells(table[, 1L]), SE = number_cells(table[, 2L])
  )
  names(cells)[1L] <- ""
  if (all(cells$SE == "")) cells$SE <- NULL
  cells
}

varcorr_cells <- function(x) {
  rows <- lapply(names(x), function(group) varcorr_lines(x[[group]], group))
  if (isTRUE(attr(x, "useSc"))) {
    rows <- c(rows, list(list(group = "Residual", name = "", sd = attr(x, "sc"))))
  }
  sd <- unlist(lapply(rows, function(row) row$sd))
  cells <- data.frame(
    Group = unlist(lapply(rows, function(row) row$group)),
    Effect = unlist(lapply(rows, function(row) row$name)),
    Variance = number_cells(sd^2), SD = number_cells(sd),
    Correlation = unlist(lapply(rows, correlation_cells))
  )
  if (all(cells$Correlation == "")) cells$Correlation <- NULL
  cells
}

# The correlations of each effect of a term with those above it.
correlation_cells <- function(row) {
  rest <- rep("", length(row$name) - 1L)
  if (!is.null(row$rho)) {
    return(c(sprintf("%s (%s)", trimws(format_correlation(row$rho, 2L)), row$structure), rest))
  }
  if (is.null(row$corr)) {
    return(c("", rest))
  }
  cells <- format_correlation(row$corr, 2L)
  c("", vapply(seq_along(rest) + 1L, function(i) {
    toString(trimws(cells[i, seq_len(i - 1L)]))
  }, ""))
}

anova_cells <- function(x) {
  columns <- lapply(names(x), function(name) {
    values <- x[[name]]
    if (startsWith(name, "Pr(") || name %in% c("p.value", "p")) {
      p_cells(values)
    } else if (name %in% c("npar", "Df", "NumDF", "num.df")) {
      ifelse(is.na(values), "", format(values, trim = TRUE))
    } else if (name == "DenDF") {
      df_cells(values)
    } else if (name %in% c("AIC", "BIC", "logLik", "deviance")) {
      fixed_cells(values, 1L)
    } else if (is.numeric(values)) {
      fixed_cells(values, 2L)
    } else {
      as.character(values)
    }
  })
  names(columns) <- sub("^Pr\\(.*\\)$", "p", names(x))
  names(columns) <- sub("F value", "F", names(columns), fixed = TRUE)
  cells <- data.frame(name = rownames(x), columns, check.names = FALSE)
  names(cells)[1L] <- ""
  cells
}

# As many decimals as give the smallest number four digits, but no more than five to the largest.
number_cells <- function(x) {
  size <- abs(x[is.finite(x) & x != 0])
  decimals <- if (length(size)) {
    needed <- function(value, digits) max(0, digits - 1 - floor(log10(signif(value, digits))))
    max(needed(max(size), 4), min(needed(min(size), 4), needed(max(size), 5)))
  } else {
    0
  }
  plain <- decimals <= 7 && (!length(size) || max(size) < 1e7)
  cells <- if (plain) {
    formatC(x, digits = decimals, format = "f")
  } else {
    formatC(x, digits = 4L, format = "g")
  }
  ifelse(is.na(x), "", unname(trimws(cells)))
}

# Parameters of different kinds, a row each, with the decimals that their size asks for.
row_cells <- function(numbers) {
  text <- t(apply(numbers, 1L, function(row) {
    shown <- row[is.finite(row)]
    decimals <- max(0, 3 - floor(log10(max(abs(shown), 1e-300))))
    cells <- if (!length(shown) || decimals > 7 || max(abs(shown)) >= 1e7) {
      formatC(row, digits = 4L, format = "g")
    } else {
      formatC(row, digits = decimals, format = "f")
    }
    ifelse(is.na(row), "", trimws(cells))
  }))
  data.frame(name = rownames(numbers), text, row.names = NULL)
}

fixed_cells <- function(x, digits) {
  ifelse(is.na(x), "", ifelse(is.infinite(x), "Inf", formatC(unname(x), digits, format = "f")))
}

df_cells <- function(x) fixed_cells(x, if (all(abs(x - round(x)) < 0.005, na.rm = TRUE)) 0L else 1L)

p_cells <- function(p) {
  ifelse(is.na(p), "", ifelse(p < 0.001, "<0.001", formatC(unname(p), 3L, format = "f")))
}

# Pieces ------------------------------------------------------------------------------------------

# Pieces of markup one below the other, NULL left out.
report <- function(...) {
  pieces <- Filter(length, list(...))
  knitr::asis_output(paste0("\n\n", paste(unlist(pieces), collapse = "\n\n"), "\n\n"))
}

# What is being written: "markdown" (R Markdown, whatever its output), "latex" (Sweave) or "html".
report_markup <- function() {
  format <- knitr::opts_knit$get("out.format")
  if (length(format) != 1L) {
    return("markdown")
  }
  switch(format, latex = , listings = , sweave = "latex", html = "html", "markdown")
}

report_strong <- function(text) {
  switch(report_markup(),
    latex = paste0("\\textbf{", escape_latex(text), "}"),
    html = paste0("<p><strong>", escape_html(text), "</strong></p>"),
    paste0("**", escape_markdown(text), "**")
  )
}

report_code <- function(text) {
  switch(report_markup(),
    latex = paste0("\\texttt{", escape_latex(text), "}"),
    html = paste0("<p><code>", escape_html(text), "</code></p>"),
    # Names of the formula may have backticks of their own.
    if (grepl("`", text, fixed = TRUE)) paste0("`` ", text, " ``") else paste0("`", text, "`")
  )
}

report_text <- function(text) {
  switch(report_markup(),
    latex = escape_latex(text), html = paste0("<p>", escape_html(text), "</p>"),
    escape_markdown(text)
  )
}

# A line each, in italics.
report_notes <- function(notes) {
  if (!length(notes)) {
    return(NULL)
  }
  notes <- gsub("[[:space:]]+", " ", notes)
  switch(report_markup(),
    latex = paste0("\\emph{", escape_latex(notes), "}", collapse = "\n\n"),
    html = paste0("<p><em>", escape_html(notes), "</em></p>", collapse = "\n"),
    paste0("*", escape_markdown(notes), "*", collapse = "\\\n")
  )
}

# Text left, numbers right. HTML pages get tables of their own: those that pandoc makes are as wide
# as the page, with headers that do not stand above their numbers.
report_table <- function(cells, caption, align = NULL) {
  markup <- report_markup()
  if (markup == "markdown" && writes_html()) markup <- "html"
  if (is.null(align)) align <- ifelse(vapply(cells, holds_numbers, NA), "r", "l")
  escape <- table_escape(markup)
  indent <- if (markup == "latex") "\\quad " else "&emsp;"
  cells[] <- lapply(cells, function(column) {
    paste0(ifelse(grepl("^ ", column), indent, ""), escape(trimws(column)))
  })
  arguments <- list(cells, if (markup == "markdown") "pipe" else markup,
    row.names = FALSE, align = align, caption = escape(caption), col.names = escape(names(cells)),
    escape = FALSE
  )
  if (markup == "html") {
    arguments$table.attr <- "class=\"table table-condensed\" style=\"width: auto;\""
  }
  paste(do.call(knitr::kable, arguments), collapse = "\n")
}

writes_html <- function() {
  isTRUE(knitr::pandoc_to(c("html", "html4", "html5", "revealjs", "slidy", "ioslides")))
}

# kable() escapes the bars of a table of pipes itself.
table_escape <- function(markup) {
  switch(markup,
    latex = escape_latex, html = escape_html,
    function(text) gsub("\\|", "|", escape_markdown(text), fixed = TRUE)
  )
}

holds_numbers <- function(column) {
  all(grepl("^ *<?[-+]?[0-9.]*(e[-+][0-9]+)?%? *$|^ *(Inf|NA) *$", column))
}

escape_markdown <- function(text) {
  text <- gsub("([\\\\`*_{}\\[\\]>$^~#|@]|<(?![0-9]))", "\\\\\\1", text, perl = TRUE)
  # Three dots and double hyphens stay what they are.
  gsub("--", "\\--", text, fixed = TRUE)
}

# pandoc reads the cells of an HTML table as Markdown: its signs become entities too.
escape_html <- function(text) {
  signs <- strsplit("&<>*_`\\[]$~^@", "")[[1L]]
  for (sign in signs) text <- gsub(sign, sprintf("&#%d;", utf8ToInt(sign)), text, fixed = TRUE)
  text
}

escape_latex <- function(text) {
  text <- gsub("\\", "\001", text, fixed = TRUE)
  text <- gsub("([{}$&#%_])", "\\\\\\1", text)
  text <- gsub("([<>|])", "$\\1$", text)
  text <- gsub("~", "\\textasciitilde{}", text, fixed = TRUE)
  text <- gsub("^", "\\textasciicircum{}", text, fixed = TRUE)
  gsub("\001", "\\textbackslash{}", text, fixed = TRUE)
}
