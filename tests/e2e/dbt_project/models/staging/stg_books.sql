select
    id as book_id,
    title,
    shelf
from {{ ref('books') }}
