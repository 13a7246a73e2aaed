# Builds the documentation site into .make/site with pkgdown, from the installed package. Called by
# make site.

# Formulas as MathML, which every browser shows without a script from elsewhere. pkgdown can do it
# itself since 2.1.0 (math-rendering: mathml); before, its pages hold TeX for such a script.
formulas_to_mathml <- function(folder) {
  pattern <- "<span class=\"math (inline|display)\">(.|\n)*?</span>"
  for (file in list.files(folder, "[.]html$", recursive = TRUE, full.names = TRUE)) {
    page <- paste(readLines(file, encoding = "UTF-8"), collapse = "\n")
    spans <- gregexpr(pattern, page, perl = TRUE)
    found <- unique(regmatches(page, spans)[[1L]])
    if (length(found) == 0L) next
    drawn <- stats::setNames(mathml(found), found)
    regmatches(page, spans) <- list(unname(drawn[regmatches(page, spans)[[1L]]]))
    page <- gsub("<!-- mathjax -->.*?(?=<!--\\[if)", "", page, perl = TRUE)
    writeLines(page, file, useBytes = TRUE)
  }
}

mathml <- function(spans) {
  entities <- c("&lt;" = "<", "&gt;" = ">", "&quot;" = "\"", "&#39;" = "'", "&amp;" = "&")
  tex <- gsub("^<span[^>]*>\\s*|\\s*</span>$", "", spans)
  for (entity in names(entities)) tex <- gsub(entity, entities[[entity]], tex, fixed = TRUE)
  display <- startsWith(tex, "\\[")
  tex <- gsub("\\s+", " ", substr(tex, 3L, nchar(tex) - 2L))
  marks <- ifelse(display, "$$", "$")
  from <- tempfile(fileext = ".md")
  to <- tempfile(fileext = ".html")
  on.exit(unlink(c(from, to)))
  writeLines(paste0(marks, trimws(tex), marks, "\n"), from, useBytes = TRUE)
  rmarkdown::pandoc_convert(from, "html", output = to, options = c("--mathml", "--wrap=none"))
  drawn <- gsub("</?p>", "", readLines(to, encoding = "UTF-8"))
  drawn <- drawn[nzchar(drawn)]
  stopifnot(length(drawn) == length(spans))
  drawn
}

options(pkgdown.internet = FALSE)
pkgdown::init_site()
pkgdown::build_site(
  preview = FALSE, devel = FALSE, lazy = FALSE, install = FALSE, new_process = FALSE
)
if (utils::packageVersion("pkgdown") < "2.1.0") formulas_to_mathml(".make/site")
cat("the site starts at .make/site/index.html\n")
